"""A node in a virtual machine: the image that farmers boot, on disks that persist, with the power in our hand."""
