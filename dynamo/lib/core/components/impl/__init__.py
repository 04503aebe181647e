"""Kinds of the parts of a server, each in a module that a configuration names."""
