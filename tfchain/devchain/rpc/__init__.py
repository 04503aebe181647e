"""JSON-RPC 2.0 over WebSocket and HTTP, as the existing chain serves it (`tfchain.md` §10, §13.4)."""
