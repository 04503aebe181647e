"""What can be asked of a base, one file a kind: functions over an open SQLite base, nothing else."""
