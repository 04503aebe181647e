"""The services behind the metadata directory: conscience, proxy, meta0, meta1, meta2, rdir and the agent.

What decides stands in pure files (`quorum`, `replica`, `election`, `versions`, `conscience.scoring`,
`conscience.pools`); what acts (SQLite, sockets, processes) is thin and stands beside it.
"""
