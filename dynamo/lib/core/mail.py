"""Mail to people, handed to a server of SMTP (RFC 5321) without stopping anything else."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import NamedTuple

from dynamo.core.serverconfig import MailConfig

LOG = logging.getLogger(__name__)

ANSWER_S = 30.0
"""How long a server of mail may take for one answer, in seconds."""
TRIES = 3
RETRY_S = 20.0
MAX_WAITING = 100
"""Most messages that wait; more are dropped, and logged."""
MAX_TEXT = 100_000
_ADDRESS = re.compile(r"[^\s<>@,;:\"\\\x00-\x1f\x7f]{1,64}@[^\s<>@,;:\"\\\x00-\x1f\x7f]{1,255}")
_LINE_LIMIT = 1 << 16


class MailRefused(Exception):
    """The server of mail did not take a message; the text is its answer."""


class Message(NamedTuple):
    """A text for one person."""

    to: str
    subject: str
    text: str


def is_address(text: str) -> bool:
    """Is this the address of one person, and nothing else?"""
    return _ADDRESS.fullmatch(text) is not None


class Postman:
    """Hands messages over, one after the other."""

    def __init__(self, config: MailConfig, server: str) -> None:
        """`server` is the name of this one, which signs."""
        self._config = config
        self._server = server
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(MAX_WAITING)

    def send(self, message: Message) -> None:
        """Take a message to be handed over later.  What cannot be is logged."""
        if not is_address(message.to):
            LOG.warning("Nobody gets the mail %r: %r is no address", message.subject, message.to)
            return
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            LOG.error(
                "The mail %r to %s is dropped: %d wait already", message.subject, message.to, MAX_WAITING
            )

    async def serve(self) -> None:
        """Hand messages over until cancelled."""
        while True:
            message = await self._waiting.get()
            for number in range(1, TRIES + 1):
                try:
                    await self._deliver(message)
                    LOG.info("Mail to %s: %s", message.to, message.subject)
                    break
                except (MailRefused, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                    LOG.warning(
                        "Mail to %s did not get through to %s:%d (%d of %d): %s",
                        message.to,
                        self._config.host,
                        self._config.port,
                        number,
                        TRIES,
                        error,
                    )
                    await asyncio.sleep(RETRY_S if number < TRIES else 0)

    async def _deliver(self, message: Message) -> None:
        sender = self._config.sender or f"dynamo@{socket.getfqdn()}"
        async with asyncio.timeout(10 * ANSWER_S):
            reader, writer = await asyncio.open_connection(
                self._config.host, self._config.port, limit=_LINE_LIMIT
            )
            try:
                await _expect(reader, 220)
                for command, code in (
                    (f"EHLO {socket.getfqdn()}", 250),
                    (f"MAIL FROM:<{sender}>", 250),
                    (f"RCPT TO:<{message.to}>", 250),
                    ("DATA", 354),
                ):
                    writer.write(command.encode() + b"\r\n")
                    await _expect(reader, code)
                writer.write(_body(message, sender, self._server))
                await _expect(reader, 250)
                writer.write(b"QUIT\r\n")
                await writer.drain()
            finally:
                writer.close()


async def _expect(reader: asyncio.StreamReader, code: int) -> None:
    async with asyncio.timeout(ANSWER_S):
        line = await reader.readuntil(b"\n")
        while line[3:4] == b"-":
            line = await reader.readuntil(b"\n")
    if not line.startswith(str(code).encode()):
        raise MailRefused(line.decode("utf-8", "replace").strip())


def _body(message: Message, sender: str, server: str) -> bytes:
    """The message as it goes over the wire, with its last line."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = f"Dynamo on {server} <{sender}>", message.to
    mail["Subject"] = " ".join(message.subject.split())[:200]
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="dynamo.invalid")
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text[:MAX_TEXT])
    lines = mail.as_bytes().split(b"\r\n")
    stuffed = (b"." + line if line.startswith(b".") else line for line in lines)
    return b"\r\n".join(stuffed).rstrip(b"\r\n") + b"\r\n.\r\n"
