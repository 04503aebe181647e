"""Clients of others against nodes of the development grid."""
