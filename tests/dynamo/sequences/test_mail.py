"""Who hears of a step that fails, and how."""

from __future__ import annotations

import asyncio
import email
import email.policy
from email.message import EmailMessage

import pytest
from dynamo.core import mail
from dynamo.core.mail import Message, Postman, is_address
from dynamo.core.master.applications import Status
from dynamo.core.sequences.definition import parse_definition
from dynamo.core.sequences.progress import wants_mail
from dynamo.core.serverconfig import MailConfig

STEPS = (
    parse_definition("{a} = /a\n[SEQUENCE s]\n^ {a}\n& {a}\n| {a}\nWAIT 1\nTERMINATE\n", {})
    .sequences["s"]
    .steps
)


class Mailbox:
    """A server of SMTP that keeps what it gets; it refuses the first `refusals` senders."""

    def __init__(self, refusals: int = 0) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.arrived = asyncio.Event()
        self._refusals = refusals
        self.port = 0

    async def __aenter__(self) -> Mailbox:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220-hello\r\n220 ready\r\n")
        while line := await reader.readline():
            word = line.strip()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                body = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                parsed = email.message_from_bytes(body, policy=email.policy.default)
                assert isinstance(parsed, EmailMessage)
                self.messages.append(parsed)
                self.arrived.set()
            elif word.startswith(b"MAIL") and self._refusals:
                self._refusals -= 1
                writer.write(b"451 later\r\n")
                continue
            elif word.startswith(b"RCPT"):
                self.recipients.append(word.decode())
            writer.write(b"250-fine\r\n250 fine\r\n" if word.startswith(b"EHLO") else b"250 fine\r\n")


async def _delivered(box: Mailbox, message: Message) -> None:
    postman = Postman(MailConfig(host="127.0.0.1", port=box.port, sender="dynamo@site.example"), "dyn0")
    postman.send(message)
    serving = asyncio.create_task(postman.serve())
    try:
        async with asyncio.timeout(60):
            await box.arrived.wait()
    finally:
        serving.cancel()


@pytest.mark.parametrize("status", [Status.FAILED, Status.KILLED, Status.AUTHFAILED, Status.NOTFOUND, None])
def test_failures_of_steps_that_are_repeated_are_mailed_and_others_are_not(status: Status | None) -> None:
    assert [wants_mail(step, status) for step in STEPS] == [True, True, False, False, False]


@pytest.mark.parametrize("status", [Status.DONE, Status.RUN, Status.NEW])
def test_nobody_hears_of_steps_that_run_or_ended_well(status: Status) -> None:
    assert not any(wants_mail(step, status) for step in STEPS)


async def test_a_message_arrives_as_it_was_written() -> None:
    async with Mailbox() as box:
        text = "first\n.\n..two dots\nÜmläut\n" + "long " * 400
        await _delivered(box, Message("jane@site.example", "Sequence s:\r\nBcc: all@x", text))
        (found,) = box.messages
        assert box.recipients == ["RCPT TO:<jane@site.example>"]
        assert (found["To"], found["Bcc"]) == ("jane@site.example", None)
        assert found["Subject"] == "Sequence s: Bcc: all@x"
        assert found.get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")


async def test_a_message_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "RETRY_S", 0.01)
    async with Mailbox(refusals=2) as box:
        await _delivered(box, Message("jane@site.example", "s", "t"))
        assert len(box.messages) == 1


@pytest.mark.parametrize(
    "address",
    ["", "jane", "a@b@c", "a@b>\r\nDATA", "<a@b>", "a b@c", "a@b,c@d", "a@b\n", "@b", "a@", "\x00a@b"],
)
def test_what_is_no_address_gets_nothing(address: str) -> None:
    assert not is_address(address)


def test_addresses_are_addresses() -> None:
    assert is_address("jane.doe+x@mail.site.example")


async def test_what_does_not_fit_is_dropped_and_the_rest_waits() -> None:
    postman = Postman(MailConfig(), "dyn0")
    for number in range(mail.MAX_WAITING + 5):
        postman.send(Message("jane@site.example", str(number), ""))
    assert postman._waiting.qsize() == mail.MAX_WAITING
