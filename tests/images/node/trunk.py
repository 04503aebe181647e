"""A switch port that carries one tagged network, for a machine whose host has no tags of its own.

QEMU sends the machine's frames over TCP, each behind its length as four bytes, most significant first.  Frames with
the tag go, without it, to a LAN's tap; frames of the LAN come back with the tag.  Untagged frames reach nobody.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import threading

from client.namespace import enter

TAG = 0x8100
MOST_BYTES = 65535
TUNSETIFF, TAP_WITHOUT_HEADER = 0x400454CA, 0x1002
ADDRESSES = 12
"""Bytes of both MAC addresses, behind which the tag stands."""


class Trunk:
    """Listens on a free port of loopback.  Use `close`."""

    def __init__(self, namespace: str, tap: str, vlan: int) -> None:
        self._vlan = vlan
        self._tap = _attach(namespace, tap)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended, self._end = os.pipe()
        self.untagged = 0
        """Frames of the machine that had no tag, or another one."""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def address(self) -> str:
        """For a card of the test node."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Pull the plug."""
        os.write(self._end, b"x")
        self._thread.join()
        self._listener.close()
        for descriptor in (self._tap, self._ended, self._end):
            os.close(descriptor)

    def _serve(self) -> None:
        link: socket.socket | None = None
        waiting = bytearray()
        while True:
            sources: list[socket.socket | int] = [
                self._listener,
                self._tap,
                self._ended,
                *([link] if link else []),
            ]
            ready, _, _ = select.select(sources, [], [])
            if self._ended in ready:
                if link:
                    link.close()
                return
            if self._listener in ready:
                link, _ = self._listener.accept()
                waiting.clear()
            if self._tap in ready:
                frame = os.read(self._tap, MOST_BYTES)
                if link:
                    tagged = frame[:ADDRESSES] + struct.pack("!HH", TAG, self._vlan) + frame[ADDRESSES:]
                    link.sendall(struct.pack("!I", len(tagged)) + tagged)
            if link in ready and link is not None:
                piece = link.recv(1 << 16)
                if not piece:
                    link.close()
                    link = None
                waiting += piece
                self._forward(waiting)

    def _forward(self, waiting: bytearray) -> None:
        while len(waiting) >= 4 and len(waiting) >= 4 + (size := struct.unpack_from("!I", waiting)[0]):
            frame = bytes(waiting[4 : 4 + size])
            del waiting[: 4 + size]
            kind, tag = struct.unpack_from("!HH", frame, ADDRESSES)
            if kind == TAG and tag & 0xFFF == self._vlan:
                os.write(self._tap, frame[:ADDRESSES] + frame[ADDRESSES + 4 :])
            else:
                self.untagged += 1


def _attach(namespace: str, tap: str) -> int:
    """The near end of a tap that lies in another network namespace."""
    box: list[int | BaseException] = []

    def inside() -> None:
        try:
            enter(f"/run/netns/{namespace}")
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", tap.encode(), TAP_WITHOUT_HEADER))
            box.append(descriptor)
        except BaseException as problem:
            box.append(problem)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if isinstance(box[0], BaseException):
        raise box[0]
    return box[0]
