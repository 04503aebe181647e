"""How a disk is attached, from its place in sysfs."""

import pytest

from provisioners.system.block import transport_of


@pytest.mark.parametrize(
    ("path", "transport"),
    [
        ("/sys/devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0/nvme0n1", "nvme"),
        ("/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda", "sata"),
        ("/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb", "usb"),
        ("/sys/devices/pci0000:00/0000:03:00.0/host1/port-1:0/end_device-1:0/target1:0:0/block/sdc", "sas"),
        ("/sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda", "virtio"),
        ("/sys/devices/virtual/block/loop3", "loop"),
        ("/sys/devices/virtual/block/dm-0", ""),
    ],
)
def test_the_transport_stands_in_the_path(path: str, transport: str) -> None:
    assert transport_of(path) == transport
