"""Provisioners that make nothing: for measurements, and for a grid without root.

They keep the same protocol as the real ones, remember what they "made" in small files below the node's volatile
folder (so that a restart finds it and a reboot does not), give plausible result data, and say in every result that
nothing is real (`notice`).
"""

from provisioners.null.provisioner import NOTICE, NullProvisioner
from provisioners.null.types import null_provisioners

__all__ = ["NOTICE", "NullProvisioner", "null_provisioners"]
