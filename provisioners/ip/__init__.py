"""Workload types `ip` and `ipv4`: a public address for one machine."""

from provisioners.ip.provisioner import PublicIpProvisioner

__all__ = ["PublicIpProvisioner"]
