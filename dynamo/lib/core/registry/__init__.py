"""What programs and web modules keep beside the inventory: requests, locks, cycles of policies, file operations."""
