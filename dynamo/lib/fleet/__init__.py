"""A fleet on one machine, to try things out."""
