"""Commands and classes for users of a fleet."""
