"""The chain client against a real development chain."""
