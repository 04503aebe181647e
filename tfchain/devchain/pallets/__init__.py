"""What the calls of each pallet do; checks stand in the order of the real runtime."""
