"""What goes into the image and what is taken out of it: lists alone."""

from __future__ import annotations

SUITE = "bookworm"
KERNEL = "linux-image-amd64"
EFI_STUB = "systemd-boot-efi"
EPOCH = 1_760_000_000
"""No file of the image is younger (seconds since 1970); `SOURCE_DATE_EPOCH` overrides it."""

PACKAGES = (
    "btrfs-progs",
    "busybox-static",
    "bzip2",
    "ca-certificates",
    "chrony",
    "dmidecode",
    "dnsmasq-base",
    "dosfstools",
    "e2fsprogs",
    "ethtool",
    "iproute2",
    "iputils-arping",
    "iputils-ping",
    "kmod",
    "mount",
    "mtools",
    "netbase",
    "nftables",
    "procps",
    "python3",
    "qemu-system-common",
    "qemu-system-x86",
    "qemu-utils",
    "redis-server",
    "util-linux",
    "wireguard-go",
    "wireguard-tools",
    "xz-utils",
    "yggdrasil",
    "zstd",
)
"""Beside Debian's essential packages."""

FIRMWARE_COMPONENT = "non-free-firmware"
FIRMWARE_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FIRMWARE_PACKAGES = (
    "firmware-bnx2", "firmware-bnx2x", "firmware-misc-nonfree", "firmware-qlogic", "firmware-realtek",
)  # fmt: skip
"""Network and storage cards; of their files only those that our modules name."""

EXCLUDED_PATHS = (
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/i18n/*",
    "/usr/share/lintian/*",
    "/usr/share/bash-completion/*",
)

PRUNED = (
    "boot",
    "etc/apt",
    "etc/chrony",
    "etc/cron*",
    "etc/group-",
    "etc/gshadow-",
    "etc/init.d",
    "etc/logrotate.d",
    "etc/passwd-",
    "etc/rc*.d",
    "etc/redis",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "etc/systemd",
    "lib/systemd",
    "usr/bin/login",
    "usr/bin/perl*",
    "usr/bin/qemu-img-*",
    "usr/bin/qemu-nbd",
    "usr/bin/qemu-storage-daemon",
    "usr/bin/qemu-system-i386",
    "usr/bin/redis-benchmark",
    "usr/bin/redis-check-aof",
    "usr/lib/apt",
    "usr/lib/dpkg",
    "usr/lib/ipxe",
    "usr/lib/python3*/ensurepip",
    "usr/lib/python3*/idlelib",
    "usr/lib/python3*/lib2to3",
    "usr/lib/python3*/pydoc_data",
    "usr/lib/python3*/test",
    "usr/lib/python3*/turtledemo",
    "usr/lib/systemd",
    "usr/lib/x86_64-linux-gnu/libapt-*",
    "usr/lib/x86_64-linux-gnu/libperl.so*",
    "usr/lib/x86_64-linux-gnu/perl*",
    "usr/share/doc",
    "usr/share/fonts",
    "usr/share/gcc",
    "usr/share/icons",
    "usr/share/keyrings",
    "usr/share/perl*",
    "usr/share/pixmaps",
    "usr/share/qemu/*.dtb",
    "usr/share/qemu/edk2-*",
    "usr/share/qemu/hppa*",
    "usr/share/qemu/openbios*",
    "usr/share/qemu/opensbi*",
    "usr/share/qemu/palcode*",
    "usr/share/qemu/s390*",
    "usr/share/qemu/skiboot*",
    "usr/share/qemu/slof*",
    "usr/share/qemu/u-boot*",
    "usr/share/zoneinfo",
    "var/cache/*",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/log/*",
)
"""Never opened on a node.  `redis-check-rdb` stays: `redis-server` is a link to it."""

CHARSETS = "usr/lib/x86_64-linux-gnu/gconv"
KEPT_CHARSETS = ("IBM850.so",)
"""mtools writes the names on a guest's first disk in code page 850."""

KEPT_TERMINALS = ("dumb", "linux", "vt100", "vt102", "vt220", "xterm", "xterm-256color", "screen")

STAGE1_MODULES = (
    "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net", "virtio_console", "virtio_rng",
    "sd_mod", "sr_mod", "cdrom", "isofs", "ahci", "ata_piix", "nvme", "usb_storage", "uas", "xhci_pci",
    "ehci_pci", "uhci_hcd", "ohci_pci", "hid_generic", "usbhid", "loop", "overlay", "squashfs", "qemu_fw_cfg",
)  # fmt: skip
"""Loaded before the root file system is looked for, in this order; names that the kernel has built in are ignored."""

ROOT_MODULES = (
    "btrfs", "ext4", "vfat", "nls_cp437", "nls_ascii", "isofs", "fuse", "tun", "tap", "vhost_net", "vhost_vsock",
    "virtiofs", "bridge", "br_netfilter", "8021q", "veth", "dummy", "macvlan", "wireguard", "ifb",
    "nf_tables", "nft_ct", "nft_chain_nat", "nft_nat", "nft_masq", "nft_redir", "nft_reject_inet",
    "nft_reject_bridge", "nft_meta_bridge", "nft_limit", "nft_log", "nft_fib_inet", "nft_quota",
    "nft_counter", "nf_log_syslog", "nf_conntrack_bridge", "nft_connlimit", "nft_set_rbtree", "nft_set_hash",
    "nft_set_pipapo", "nfnetlink_queue", "nf_conntrack_netlink",
    "sch_htb", "sch_fq_codel", "sch_ingress", "sch_netem", "cls_u32", "cls_flower", "cls_matchall",
    "act_police", "act_mirred",
    "efivarfs", "kvm", "kvm_amd", "kvm_intel", "vfio", "vfio_pci", "dm_mod", "dm_verity", "overlay", "squashfs", "loop",
    "button", "evdev", "rtc_cmos", "tpm_tis", "i6300esb", "iTCO_wdt", "crc32c_intel",
    "xxhash_generic", "blake2b_generic",
    "e1000", "e1000e", "igb", "igc", "ixgbe", "i40e", "ice", "r8169", "8139cp", "8139too", "tg3", "bnx2", "bnx2x",
    "bnxt_en", "mlx4_en", "mlx5_core", "atlantic", "vmxnet3", "be2net", "cxgb4", "qede", "sfc", "alx", "atl1c",
    "skge", "sky2", "forcedeth", "r8152", "ax88179_178a", "cdc_ether",
    "megaraid_sas", "mpt3sas", "mpi3mr", "hpsa", "smartpqi", "aacraid", "mptsas", "mvsas", "isci", "arcmsr",
    "ata_generic", "sata_sil", "sata_mv", "sata_nv", "sata_via", "pata_acpi",
)  # fmt: skip
"""Modules of the root file system, with everything that they need."""

PROGRAMS = (
    "arping", "blockdev", "btrfs", "busybox", "chronyd", "dmidecode", "dnsmasq", "ethtool", "ip", "losetup", "mcopy",
    "mformat", "mkfs.btrfs", "mkfs.ext4", "mkfs.vfat", "modprobe", "mount", "nft", "ping", "qemu-img",
    "qemu-system-x86_64", "redis-cli", "redis-server", "resize2fs", "sysctl", "tar", "tc", "umount", "wg", "wipefs",
    "wireguard-go", "yggdrasil",
)  # fmt: skip
"""What the daemon and the stages call by name."""

FILES = ("etc/protocols", "usr/lib/qemu/virtiofsd", *(f"{CHARSETS}/{name}" for name in KEPT_CHARSETS))
"""What they read or call by path."""

IMPORTS = (
    "zosd.cli", "zosd.real_parts", "rmb.peer_cli", "rmb.peer.daemon", "images.boot.pid1", "images.boot.console",
    "images.boot.storage", "images.boot.network", "images.boot.configure", "images.boot.zosctl", "images.boot.machine",
    "images.boot.tell", "images.boot.upgrade",
)  # fmt: skip
"""What has to import inside the finished root, by Debian's own interpreter."""
