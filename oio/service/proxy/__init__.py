"""The proxy: the HTTP surface of a namespace. It holds no state of its own, only bounded caches."""
