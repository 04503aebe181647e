"""`dynamo`: run programs on a fleet's inventory."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from dynamo.client.columns import in_columns
from dynamo.client.connection import Connection, default_certificate, server_address
from dynamo.client.options import Ca, Cert, Key
from dynamo.core.sequences.definition import filled_in, parse_definition
from dynamo.dataformat import DynamoError, OperationalError
from dynamo.dataformat.times import spaced_time

app = typer.Typer(add_completion=True, pretty_exceptions_enable=False)


@app.command()
def dynamo(
    cmd: Annotated[str | None, typer.Argument(help="Executable and arguments, as one quoted word.")] = None,
    asynchronous: Annotated[
        bool, typer.Option("-A", "--asynchronous", help="Do not wait for the end.")
    ] = False,
    server: Annotated[str | None, typer.Option("-s", "--server", help="HOST[:PORT].")] = None,
    title: Annotated[
        str, typer.Option("-t", "--title", help="Title of the application.")
    ] = "DynamoExecutable",
    auth: Annotated[bool, typer.Option("-H", "--auth-request", help="Full credentials for tools.")] = False,
    write: Annotated[bool, typer.Option("-W", "--write-request", help="Change the inventory.")] = False,
    work_dir: Annotated[str | None, typer.Option("-d", "--work-dir", help="Work area on the server.")] = None,
    timeout: Annotated[int, typer.Option("-m", "--timeout", help="Hours; 0 = the server's default.")] = 0,
    poll: Annotated[int | None, typer.Option("-p", "--poll", help="Show an application.")] = None,
    kill: Annotated[int | None, typer.Option("-x", "--kill", help="End an application.")] = None,
    listing: Annotated[bool, typer.Option("-l", "--list", help="Show the newest applications.")] = False,
    servers: Annotated[bool, typer.Option("--servers", help="Show the servers of the fleet.")] = False,
    drain: Annotated[
        str | None, typer.Option("--drain", help="Let a server finish what it does and leave.")
    ] = None,
    stay: Annotated[str | None, typer.Option("--stay", help="Take --drain back while it still runs.")] = None,
    add: Annotated[Path | None, typer.Option("-a", "--add-sequence", help="Add sequences of a file.")] = None,
    start: Annotated[str | None, typer.Option("-q", "--start-sequence", help="Name, or ALL.")] = None,
    stop: Annotated[str | None, typer.Option("-o", "--stop-sequence", help="Name, or ALL.")] = None,
    remove: Annotated[str | None, typer.Option("-e", "--delete-sequence", help="Name.")] = None,
    cert: Cert = None,
    key: Key = None,
    ca: Ca = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print answers as JSON.")] = False,
) -> None:
    """Run an executable on the inventory, look at it, end it; without a command a console."""
    try:
        connection = Connection(server_address(server), cert or default_certificate(), key, ca)
        try:
            if poll is not None:
                _show(connection.ask("poll", appid=poll), as_json)
            elif kill is not None:
                answer = connection.ask("kill", appid=kill)
                _show(answer, as_json)
                raise typer.Exit(0 if answer["result"] == "success" else 1)
            elif listing:
                _show_all([_dated(row, as_json) for row in connection.ask("list")], as_json)
            elif servers:
                _show_all(connection.ask("servers"), as_json)
            elif drain is not None or stay is not None:
                command, name = ("drain", drain) if drain is not None else ("stay", stay)
                _show(connection.ask(command, server=name), as_json)
            elif add is not None:
                _show(connection.ask("add", **_sequences(add)), as_json)
            elif remove is not None:
                _show(connection.ask("remove", sequence=remove), as_json)
            elif start is not None or stop is not None:
                name = start if start is not None else stop
                named = {} if name == "ALL" else {"sequence": name}
                _show(connection.ask("stop" if start is None else "start", **named), as_json)
            elif cmd is None:
                raise typer.Exit(_console(connection, work_dir))
            else:
                level = 3 if write else 2 if auth else 1
                request = _request(cmd, title, level, timeout, work_dir)
                if asynchronous:
                    _show(connection.ask("submit", mode="asynch", **request), as_json)
                else:
                    raise typer.Exit(_follow(connection, request, as_json))
        finally:
            connection.close()
    except DynamoError as error:
        print(f"[failed] {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _request(cmd: str, title: str, level: int, timeout: int, work_dir: str | None) -> dict[str, Any]:
    words = shlex.split(cmd)
    if not words:
        raise OperationalError("The command is empty; give an executable and its arguments")
    try:
        text = Path(words[0]).read_text()
    except (OSError, ValueError) as error:
        raise OperationalError(f"Executable {words[0]} cannot be read: {error}") from None
    request = {
        "title": title,
        "args": shlex.join(words[1:]),
        "auth_level": level,
        "timeout": timeout,
        "exec": text,
    }
    return request if work_dir is None else {**request, "path": work_dir}


def _sequences(file: Path) -> dict[str, Any]:
    try:
        text = filled_in(file.read_text())
        paths = {title: path for title, (path, _) in parse_definition(text).applications.items()}
        executables = {title: Path(path).read_text() for title, path in paths.items()}
    except OSError as error:
        raise OperationalError(f"{error.filename} cannot be read: {error.strerror}") from None
    return {"definition": text, "executables": executables}


def _show(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer))
    else:
        print("  ".join(f"{name}: {value}" for name, value in answer.items()))


def _show_all(rows: list[dict[str, Any]], as_json: bool) -> None:
    for line in [json.dumps(row) for row in rows] if as_json else in_columns(rows):
        print(line)


def _dated(row: dict[str, Any], as_json: bool) -> dict[str, Any]:
    """An application with what people want to know first, and the time in words."""
    if as_json:
        return row
    names = ("appid", "title", "status", "exit_code", "auth_level", "user_name", "server", "args")
    shown = {name: "" if row[name] is None else row[name] for name in names}
    return {"since": spaced_time(row["timestamp"]), **shown}


def _follow(connection: Connection, request: dict[str, Any], as_json: bool) -> int:
    running: list[int] = []

    def interrupted(number: int, frame: object) -> None:
        if typer.confirm("Kill task?", default=False, err=True):
            raise KeyboardInterrupt

    def started(content: dict[str, Any]) -> None:
        running.append(content["appid"])
        signal.signal(signal.SIGINT, interrupted)

    connection.send({"command": "submit", "mode": "synch", **request})
    try:
        answer = connection.follow(sys.stdout, sys.stderr, started)
    except KeyboardInterrupt:
        print("The server ends the task, for nobody listens any more.", file=sys.stderr)
        return 130
    if as_json:
        print(json.dumps(answer), file=sys.stderr)
    if answer["status"] == "done":
        return 0
    print(f"[{answer['status']}] exit code {answer['exit_code']}", file=sys.stderr)
    return (answer["exit_code"] or 1) & 0xFF or 1


def _console(connection: Connection, work_dir: str | None) -> int:
    request = {"auth_level": 1} if work_dir is None else {"auth_level": 1, "path": work_dir}
    connection.send({"command": "interact", **request})

    def typed() -> None:
        for line in sys.stdin:
            connection.send({"input": line})
        connection.send({"input": ""})

    def started(content: object) -> None:
        threading.Thread(target=typed, daemon=True).start()

    answer = connection.follow(sys.stdout, sys.stderr, started)
    return int(answer["exit_code"])


def main() -> None:
    """The command."""
    app()
