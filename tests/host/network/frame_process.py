"""Send and collect raw frames: `frame_process.py tap NAME` is the guest's side of a tap, `link NAME` a link here.

Standard input: a frame in hex is sent; `take` prints what was received since the last time, as a JSON list of hex.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from collections.abc import Callable

from tests.host.network.guest_process import open_tap

LONGEST = 65536


def main() -> None:
    kind, name = sys.argv[1:]
    send: Callable[[bytes], int]
    receive: Callable[[], bytes]
    if kind == "tap":
        handle = open_tap(name)
        send, receive = lambda frame: os.write(handle, frame), lambda: os.read(handle, LONGEST)
    else:
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        wire.bind((name, 3))
        handle, send, receive = wire.fileno(), wire.send, lambda: wire.recv(LONGEST)

    seen: list[str] = []
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([handle, sys.stdin.fileno()], [], [])
        if handle in ready and (frame := receive()):
            seen.append(frame.hex())
        elif sys.stdin.fileno() in ready:
            line = sys.stdin.buffer.raw.readline().decode().strip()  # type: ignore[attr-defined]  # unbuffered, for select
            if not line:
                return
            if line == "take":
                print(json.dumps(seen), flush=True)
                seen.clear()
            else:
                send(bytes.fromhex(line))


if __name__ == "__main__":
    main()
