"""From a message to a promise: what is refused, what is accepted, and what has to wait for the chain.

`rules`, `contract`, `capacity` and `drafts` decide and are pure; `facts` fetches what they need; `acceptor` puts
both in order and commits.
"""
