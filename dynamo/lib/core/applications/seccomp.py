"""Which calls of the kernel a program may make: a filter for the kernel, as a program of BPF.

Formats: `struct sock_filter`, `struct seccomp_data` and numbers of calls as of Linux (linux/filter.h, linux/seccomp.h,
asm/unistd.h).  Refused is what manages the machine, looks into other processes, or makes name spaces; whatever
programs in Python need stays.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Where the kernel puts what is judged."""
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_OTHER_ABI = 0x40000000
"""Numbers from here on are calls of x32."""
_NEW_SPACES = 0x7E020000
"""Flags of clone that make name spaces."""
_PUSH_INPUT = 0x5412
"""The ioctl that types into a terminal."""
_FAMILIES = (1, 2, 10, 16)
"""Sockets of unix, IPv4, IPv6 and netlink, which asks for addresses."""

_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""The kernel's number of an architecture, and the column of the table below."""
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "uselib": (134, None),
    "vhangup": (153, 58),
}
_CLONE, _CLONE3, _SOCKET, _IOCTL = (56, 220), (435, 435), (41, 198), (16, 29)

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_libc = ctypes.CDLL(None, use_errno=True)


class SeccompMissing(OSError):
    """This machine filters no calls."""


def filter_program(machine: str, with_network: bool) -> bytes:
    """The filter for an architecture.  Raises SeccompMissing for one whose calls are not known here."""
    if machine not in _MACHINES:
        raise SeccompMissing(errno.ENOSYS, f"no filter of calls is known for {machine}")
    architecture, column = _MACHINES[machine]
    program = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _OTHER_ABI, 0, 1),
        _step(_RETURN, _REFUSE | errno.EPERM),
    ]
    for numbers in _REFUSED.values():
        number = numbers[column]
        if number is not None:
            program += _refuse(number, errno.EPERM)
    # Its flags lie in memory, which a filter cannot see; libraries fall back on clone.
    program += _refuse(_CLONE3[column], errno.ENOSYS)
    program += _if_call(
        _CLONE[column],
        [_step(_LOAD, _ARGUMENTS), _step(_ANY_BIT, _NEW_SPACES, 0, 1), _step(_RETURN, _REFUSE | errno.EPERM)],
    )
    program += _if_call(
        _IOCTL[column],
        [
            _step(_LOAD, _ARGUMENTS + 8),
            _step(_EQUAL, _PUSH_INPUT, 0, 1),
            _step(_RETURN, _REFUSE | errno.EPERM),
        ],
    )
    if with_network:
        tests = [_step(_LOAD, _ARGUMENTS)]
        tests += [_step(_EQUAL, family, len(_FAMILIES) - place, 0) for place, family in enumerate(_FAMILIES)]
        program += _if_call(_SOCKET[column], [*tests, _step(_RETURN, _REFUSE | errno.EAFNOSUPPORT)])
    else:
        program += _refuse(_SOCKET[column], errno.EACCES)
    program.append(_step(_RETURN, _ALLOW))
    return b"".join(program)


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)


def _refuse(number: int, error: int) -> list[bytes]:
    return [_step(_EQUAL, number, 0, 1), _step(_RETURN, _REFUSE | error)]


def _if_call(number: int, steps: list[bytes]) -> list[bytes]:
    """Steps for one call, which is allowed when none of them says otherwise."""
    return [_step(_EQUAL, number, 0, len(steps) + 1), *steps, _step(_RETURN, _ALLOW)]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def install(with_network: bool) -> None:
    """Filter the calls of this process from now on, for good.  It has to have no new privileges.

    Raises SeccompMissing where that cannot be.
    """
    steps = filter_program(platform.machine(), with_network)
    program = _Program(len(steps) // 8, steps)
    if _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise SeccompMissing(ctypes.get_errno(), "the kernel takes no filter of calls")
