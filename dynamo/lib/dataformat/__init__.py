"""Classes of the inventory: datasets, blocks, files, sites, partitions and their replicas."""
