"""What the servers of a fleet share: users, rights, and the queue of applications."""
