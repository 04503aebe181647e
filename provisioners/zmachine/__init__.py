"""Virtual machines: workload type `zmachine`."""

from provisioners.zmachine.guest_image import GuestImage, GuestImageMissing
from provisioners.zmachine.provisioner import ZMachineProvisioner
from provisioners.zmachine.status import GuestState, GuestStatus

__all__ = ["GuestImage", "GuestImageMissing", "GuestState", "GuestStatus", "ZMachineProvisioner"]
