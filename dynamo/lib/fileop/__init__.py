"""File operations: which files are to be where, and the back-ends that move and delete them."""
