"""Dealer: copies data to where they are wanted, by what plugins propose."""
