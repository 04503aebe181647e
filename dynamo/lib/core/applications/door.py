"""Where clients of the application server come in: TLS with certificates, one command a connection."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import ssl
from collections.abc import Awaitable, Callable, Set
from io import RawIOBase
from pathlib import Path
from typing import Any

from dynamo.core.applications.child import Task
from dynamo.core.applications.frames import frame, read_frame
from dynamo.core.applications.job import Job
from dynamo.core.applications.scheduler import Scheduler
from dynamo.core.authorizer import Authorizer
from dynamo.core.dn import dn_of_subject
from dynamo.core.master.applications import MAX_EXECUTABLE, Application, AuthLevel, Status
from dynamo.core.master.authorizations import MAX_TITLE
from dynamo.core.master.users import User
from dynamo.core.sequences.runner import SequenceRunner
from dynamo.core.serverconfig import DoorConfig
from dynamo.dataformat import ConfigurationError, DynamoError, OperationalError

LOG = logging.getLogger(__name__)

COMMAND_S = 30.0
"""How long a client may take to say what it wants."""
LOOK_S = 0.2
"""How often the output of a program is looked at while somebody listens."""
MAX_ARGS = 512
"""Longest arguments of an application, in characters."""

_LEVELS = {1: AuthLevel.NOAUTH, 2: AuthLevel.AUTH, 3: AuthLevel.WRITE}
Say = Callable[[Any], Awaitable[None]]


class Refused(Exception):
    """A client is told why its command is not done."""


def server_context(config: DoorConfig) -> ssl.SSLContext:
    """TLS that asks clients for a certificate.  Raises ConfigurationError when files are missing or wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_ALLOW_PROXY_CERTS
    try:
        context.load_cert_chain(config.certfile, config.keyfile)
        place = Path(config.capath)
        context.load_verify_locations(
            cafile=None if place.is_dir() else config.capath, capath=config.capath if place.is_dir() else None
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"Certificates {config.certfile}, {config.keyfile}, {config.capath} cannot be used: {error}"
        ) from None
    return context


class Door:
    """Serves clients until cancelled."""

    def __init__(self, config: DoorConfig, scheduler: Scheduler, sequences: SequenceRunner) -> None:
        self._config = config
        self._scheduler = scheduler
        self._sequences = sequences
        self.port = 0
        self.served = 0
        """How many clients wait for the end of what they have begun."""

    async def serve(self, started: asyncio.Event) -> None:
        """Listen; `port` is known once `started` is set."""
        server = await asyncio.start_server(
            self._client,
            self._config.host,
            self._config.port,
            ssl=server_context(self._config),
            limit=1 << 16,
        )
        self.port = server.sockets[0].getsockname()[1]
        LOG.info("Clients are served at %s:%d", self._config.host, self.port)
        started.set()
        async with server:
            await server.serve_forever()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(value: Any) -> None:
            writer.write(frame(value))
            async with asyncio.timeout(COMMAND_S):
                await writer.drain()

        try:
            try:
                user = self._user(writer)
                await say({"status": "OK", "content": "Connected", "stream": "inline"})
                command = await read_frame(reader, COMMAND_S)
                if command is not None:
                    await say({"status": "OK", "content": await self._do(command, user, reader, say)})
            except (Refused, DynamoError) as error:
                await say({"status": "failed", "content": str(error)})
        except (OSError, TimeoutError):
            LOG.debug("A client went away")
        except Exception:
            LOG.exception("A client's command broke")
        finally:
            writer.close()

    def _user(self, writer: asyncio.StreamWriter) -> User:
        certificate = writer.get_extra_info("peercert") or {}
        dn = dn_of_subject(certificate.get("subject", ()))
        user = self._scheduler.users.identify_user(dn, check_trunc=True)
        if user is None:
            raise Refused(f"Unidentified user DN {dn}")
        return user

    async def _do(self, command: Any, user: User, reader: asyncio.StreamReader, say: Say) -> Any:
        if not isinstance(command, dict) or not isinstance(command.get("command"), str):
            raise Refused("A command is an object with `command`")
        arguments = {key: value for key, value in command.items() if key != "command"}
        name = command["command"]
        if name == "poll":
            return self._known(arguments).public()
        if not any(
            self._scheduler.users.check_user_auth(user.name, role, "application")
            for role in ("admin", "operator")
        ):
            raise Refused(f"User {user.name} is neither admin nor operator of applications")
        match name:
            case "kill":
                return self._kill(arguments)
            case "submit" | "interact":
                return await self._begin(name, arguments, user, reader, say)
            case "add" | "remove" | "start" | "stop":
                return self._sequence(name, arguments, user)
            case "servers":
                _exactly(arguments, set())
                return self._scheduler.member.servers_now()
            case "drain" | "stay":
                return self._drain(name == "drain", arguments, user)
            case "list":
                _exactly(arguments, set())
                return [app.public() for app in self._scheduler.queue.newest()]
            case _:
                raise Refused(f"Unknown command {name[:40]!r}")

    async def _begin(
        self, command: str, arguments: dict[str, Any], user: User, reader: asyncio.StreamReader, say: Say
    ) -> Any:
        member = self._scheduler.member
        if member.is_draining:
            raise Refused(f"Server {member.name} is draining and takes nothing new; use another one")
        self.served += 1
        try:
            if command == "submit":
                return await self._submit(arguments, user, say)
            return await self._interact(arguments, reader, say)
        finally:
            self.served -= 1

    def _drain(self, wanted: bool, arguments: dict[str, Any], user: User) -> dict[str, str]:
        _exactly(arguments, {"server"})
        name = _text(arguments, "server", 64)
        if not self._scheduler.member.order_to_drain(name, wanted):
            raise Refused(f"There is no server {name}; `dynamo --servers` shows all")
        LOG.info("User %s wants server %s to %s", user.name, name, "leave" if wanted else "stay")
        return {"server": name, "order": "drain" if wanted else "stay"}

    def _sequence(self, command: str, arguments: dict[str, Any], user: User) -> Any:
        register = self._sequences.register
        if command == "add":
            _exactly(arguments, {"definition", "executables"})
            texts = arguments["executables"]
            if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
                raise Refused("executables is no object of texts by title")
            return {"sequence": register.add(_text(arguments, "definition", 1 << 20), texts, user.id)}
        _exactly(arguments, {"sequence"} if command == "remove" else set(), {"sequence"})
        name = arguments.get("sequence")
        if name is not None and not isinstance(name, str):
            raise Refused("sequence is no name")
        if command == "start":
            return {"sequences": register.start(name, user.id)}
        if command == "stop":
            ended = register.stop(name, user.id)
        else:
            assert name is not None, "checked above"
            ended = [register.remove(name, user.id)]
        for found in ended:
            self._sequences.kill_step(found)
        return {"sequences": [found.name for found in ended]}

    def _known(self, arguments: dict[str, Any]) -> Application:
        _exactly(arguments, {"appid"})
        try:
            number = int(arguments["appid"])
        except (TypeError, ValueError):
            number = 0
        app = self._scheduler.queue.get(number)
        if app is None:
            raise Refused(f"Unknown appid {arguments['appid']}")
        return app

    def _kill(self, arguments: dict[str, Any]) -> dict[str, str]:
        app = self._known(arguments)
        if app.status.is_final:
            detail = f"Task already completed with status {app.status} (exit code {app.exit_code})."
            return {"result": "noaction", "detail": detail}
        self._end(app.id, "Killed by a client")
        return {"result": "success", "detail": "Task aborted."}

    def _end(self, number: int, reason: str) -> None:
        job = self._scheduler.jobs.get(number)
        if job is not None:
            job.kill(reason)
        else:
            self._scheduler.queue.ask_to_kill(number, reason)

    async def _submit(self, arguments: dict[str, Any], user: User, say: Say) -> Any:
        needed = {"title", "args", "auth_level", "timeout", "mode"}
        source = {"exec", "exec_path"} & set(arguments)
        _exactly(arguments, needed | (source or {"exec"}), {"path"})
        if len(source) != 1:
            raise Refused("Give either exec or exec_path, not both")
        title, args = _text(arguments, "title", MAX_TITLE), _text(arguments, "args", MAX_ARGS)
        try:
            shlex.split(args)
        except ValueError as error:
            raise Refused(f"Arguments {args!r} cannot be split: {error}") from None
        timeout = arguments["timeout"]
        if type(timeout) is not int or not -1 <= timeout <= 8760:
            raise Refused(f"timeout is {timeout!r}; give hours, 0 for the server's default, -1 for none")
        if arguments["mode"] not in ("synch", "asynch"):
            raise Refused(f"mode is {arguments['mode']!r}; give synch or asynch")
        level = _level(arguments)
        executable = _executable(arguments)
        area = self._area(arguments.get("path"))
        (area / "exec.py").write_bytes(executable)
        number = self._scheduler.queue.submit(
            title, executable, args, level, str(area), user.id, self._scheduler.name, timeout
        )
        LOG.info("User %s submitted application %d (%s, %s)", user.name, number, title, level)
        self._scheduler.wake()
        if arguments["mode"] == "asynch":
            return {"appid": number, "path": str(area)}
        return await self._follow(number, area, say)

    def _area(self, wanted: Any) -> Path:
        if wanted is None:
            return self._scheduler.new_work_area()
        if not isinstance(wanted, str) or not os.path.isabs(wanted) or len(wanted) > 1024:
            raise Refused(f"path is {wanted!r}; give an absolute path")
        area = Path(wanted).resolve()
        base = Path(self._config.workarea_base).resolve()
        if base not in area.parents:
            raise Refused(f"Work area {wanted} does not lie below {base}")
        area.mkdir(mode=0o700, parents=True, exist_ok=True)
        return area

    async def _follow(self, number: int, area: Path, say: Say) -> dict[str, Any]:
        started = False
        offsets = [0, 0]
        try:
            while True:
                app = self._scheduler.queue.get(number)
                if app is None:
                    raise Refused(f"Application {number} is gone")
                if not started and (app.status is Status.RUN or app.status in (Status.DONE, Status.FAILED)):
                    job = self._scheduler.jobs.get(number)
                    pid = 0 if job is None else job.pid
                    await say({"status": "OK", "content": {"appid": number, "path": str(area), "pid": pid}})
                    started = True
                if app.status.is_final and not started:
                    raise Refused(f"Application status: {app.status}.")
                if app.server in ("", self._scheduler.name):
                    await self._send_output(area, offsets, say)
                else:
                    await self._send_kept_output(number, offsets, say)
                if app.status.is_final:
                    return {"appid": number, "status": app.status, "exit_code": app.exit_code}
                await self._scheduler.wait_for_change(LOOK_S)
        except (OSError, TimeoutError):
            self._end(number, "The client went away")
            raise

    async def _send_kept_output(self, number: int, offsets: list[int], say: Say) -> None:
        for index in range(2):
            while data := self._scheduler.queue.output(number, index + 1, offsets[index]):
                offsets[index] += len(data)
                await say({"stream": index + 1, "data": data.decode("utf-8", "replace")})

    @staticmethod
    async def _send_output(area: Path, offsets: list[int], say: Say) -> None:
        for index, name in enumerate(("_stdout", "_stderr")):
            try:
                with (area / name).open("rb") as output:
                    output.seek(offsets[index])
                    while data := output.read(1 << 16):
                        offsets[index] += len(data)
                        await say({"stream": index + 1, "data": data.decode("utf-8", "replace")})
            except FileNotFoundError:
                continue

    async def _interact(self, arguments: dict[str, Any], reader: asyncio.StreamReader, say: Say) -> Any:
        _exactly(arguments, {"auth_level"}, {"path"})
        area = self._area(arguments.get("path"))
        theirs, ours = os.pipe()
        console = os.fdopen(ours, "wb", buffering=0)
        try:
            job = Job(
                Task(None, "", AuthLevel.NOAUTH, area),
                None,
                self._scheduler.desk,
                self._scheduler.confinement,
            )
            authorizer = Authorizer(self._scheduler.users)
            await self._scheduler.member.with_image(
                lambda: job.start(self._scheduler.inventory, authorizer, stdin=theirs), COMMAND_S
            )
            await say({"status": "OK", "content": {"path": str(area), "pid": job.pid}})
            running = asyncio.create_task(job.run())
            typing = asyncio.create_task(self._type(reader, console))
            offsets = [0, 0]
            try:
                while not running.done():
                    await asyncio.wait({running}, timeout=LOOK_S)
                    await self._send_output(area, offsets, say)
                await self._send_output(area, offsets, say)
            finally:
                job.kill("The console ends")
                typing.cancel()
                await asyncio.gather(typing, running, return_exceptions=True)
            return {"status": "done", "exit_code": running.result().exit_code}
        finally:
            os.close(theirs)
            console.close()

    @staticmethod
    async def _type(reader: asyncio.StreamReader, console: RawIOBase) -> None:
        while True:
            line = await read_frame(reader, None)
            text = line.get("input") if isinstance(line, dict) else None
            if not isinstance(text, str) or not text:
                console.close()
                return
            await asyncio.to_thread(console.write, text.encode())


def _exactly(arguments: dict[str, Any], needed: set[str], optional: Set[str] = frozenset()) -> None:
    missing, extra = needed - set(arguments), set(arguments) - needed - optional
    if missing or extra:
        found = (("lacks", missing), ("has too much:", extra))
        parts = [f"{word} {', '.join(sorted(names))}" for word, names in found if names]
        raise Refused(f"The command {' and '.join(parts)}")


def _text(arguments: dict[str, Any], name: str, limit: int) -> str:
    value = arguments[name]
    if not isinstance(value, str) or len(value) > limit:
        raise Refused(f"{name} is no text of at most {limit} characters")
    return value


def _level(arguments: dict[str, Any]) -> AuthLevel:
    value = arguments["auth_level"]
    if value in list(AuthLevel):
        return AuthLevel(value)
    if type(value) is int and value in _LEVELS:
        return _LEVELS[value]
    raise Refused(f"auth_level is {value!r}; give 1 (noauth), 2 (auth) or 3 (write)")


def _executable(arguments: dict[str, Any]) -> bytes:
    if "exec" not in arguments:
        # Reading it here would show any file of this machine to whoever may submit.
        raise Refused("exec_path names a file of the server; send its text as exec instead")
    text = arguments["exec"]
    if not isinstance(text, str):
        raise Refused("exec is no text")
    data = text.encode()
    if len(data) > MAX_EXECUTABLE:
        raise OperationalError(f"The executable has {len(data)} bytes; at most {MAX_EXECUTABLE} are allowed")
    return data
