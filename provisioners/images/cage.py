"""Lock this process into one folder before it reads what a stranger wrote.

Standard library only: it runs in a small process of its own.  After `enter` the folder is the root directory, there
is no network, no other process to be seen, no second process to be made, and no privilege but those that set owners,
modes and attributes.
"""

from __future__ import annotations

import ctypes
import os
import resource

_CLONE_NEWNS = 0x00020000
_CLONE_NEWCGROUP = 0x02000000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9
_LAST_CAPABILITY = 63
_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_FOWNER, _CAP_FSETID, _CAP_SETFCAP = 0, 1, 3, 4, 31
_KEPT = (_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_FOWNER, _CAP_FSETID, _CAP_SETFCAP)
"""All below 32, so that they fit into the low words of `capset`."""
_CAPABILITY_VERSION = 0x20080522
_NOBODY = 65534

_MEMORY = 768 << 20
_OPEN_FILES = 64

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Nobody is left behind when the daemon is killed."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))


def enter(folder: str, *, cpu_seconds: int) -> None:
    """Go on as a child that is locked into `folder`; the caller's process waits for it and never returns.

    Raises OSError.
    """
    namespaces = (
        _CLONE_NEWNS | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS | _CLONE_NEWCGROUP | _CLONE_NEWPID
    )
    _check(_libc.unshare(namespaces))
    _become_child()
    _check(_libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None))
    os.chdir(folder)
    os.chroot(".")
    os.chdir("/")
    os.closerange(3, 1 << 16)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # only holds for users other than root
    _drop_privileges()


def _become_child() -> None:
    """Only a child is really inside a new process namespace."""
    child = os.fork()
    if child != 0:
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    die_with_parent()


def _drop_privileges() -> None:
    """Become nobody, with the kept capabilities and no way to any other."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    for capability in range(_LAST_CAPABILITY + 1):
        if capability not in _KEPT:
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails past the kernel's last one
    _check(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    mask = sum(1 << capability for capability in _KEPT)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    data = (ctypes.c_uint32 * 6)(
        mask, mask, 0, 0, 0, 0
    )  # effective, permitted, inheritable: low words, high words
    _check(_libc.capset(header, data))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
