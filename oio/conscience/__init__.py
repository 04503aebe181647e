"""Which services exist, and the choice of some of them."""
