"""The only durable truth of the daemon: what every deployment should be, and all that happened to it.

`Ledger` holds the state and is pure; `changes` are the only way to alter it; `Store` writes them to SQLite, one
thread, one transaction for each commit (several commits may share one fsync).
"""
