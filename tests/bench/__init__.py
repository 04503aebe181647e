"""Measurements, each beside a floor or a peer in the same run; `python -m tests.bench` runs all and prints ratios."""
