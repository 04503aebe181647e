"""SCALE as the chain writes it: values by registry, metadata V14, storage keys, headers, extrinsics.

One codec for the development chain and for clients.  Everything here is pure: bytes in, values out.
"""
