"""The node's commands on the bus.

`table` says which commands there are and who may call them; the other files answer them.
"""
