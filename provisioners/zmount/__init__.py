"""The zmount workload: a raw virtual disk for a guest."""

from provisioners.zmount.provisioner import ZMountProvisioner

__all__ = ["ZMountProvisioner"]
