"""The front of a grid: what existing clients and dashboards ask for beside chain, relay and nodes.

The relay and the chain with TLS on the standard port, and the answers of a grid proxy, a graphql service and a KYC
service, all computed from the chain.
"""
