"""The chain: identities, a client, and a development chain that speaks the same JSON-RPC."""
