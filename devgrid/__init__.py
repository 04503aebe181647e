"""A whole grid on one machine: chain, bus, nodes in namespaces with their own disks, and a client.

`layout` says what is called what, `configs` writes the configuration of every part, `supervisor` runs them.
"""
