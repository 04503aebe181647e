"""Workload type `network`: a twin's private network, as it lies on this node."""

from provisioners.network.provisioner import NetworkProvisioner

__all__ = ["NetworkProvisioner"]
