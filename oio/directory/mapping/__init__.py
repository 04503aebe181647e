"""Which service holds which base: plans over plain values. Nothing here asks a service or changes one."""
