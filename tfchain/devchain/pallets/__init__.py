"""What the calls of each pallet do.  One file for each group of calls; checks stand in the order of the real runtime."""
