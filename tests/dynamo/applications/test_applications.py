"""Programs on a real server: what they may change, how they end, and who hears of it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.dynamo.applications.processes import processes_with
from tests.dynamo.single_server import LIMIT_S, SingleServer, wait_for
from tests.shared import report_count, vectors

ADD = "from dynamo.core.executable import inventory\nfrom dynamo.dataformat import Site, Dataset\n"


def _write(
    server: SingleServer, body: str, *arguments: str, authorize: bool = True, title: str = "test"
) -> subprocess.CompletedProcess[str]:
    path = server.script(ADD + body, f"{title}.py")
    if authorize:
        assert server.run("exec_auth", "-x", path, "-t", title).returncode == 0
    return server.dynamo("-W", "-t", title, " ".join([path, *arguments]))


def test_a_program_reads_and_its_output_and_arguments_pass(server: SingleServer) -> None:
    path = server.script(
        ADD
        + "import sys\nfrom dynamo.core import executable\n"
        + "print(__name__, sys.argv[1:], executable.read_only, executable.authorized)\n"
        + "print(sorted(inventory.partitions.keys()))\nprint('to stderr', file=sys.stderr)\n"
    )
    done = server.dynamo(f"{path} one 'two three'")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "__main__ ['one', 'two three'] True False\n['Default', 'Owned']\n"
    assert done.stderr == "to stderr\n"


@pytest.mark.parametrize(
    ("option", "wanted"), [("", "True False"), ("-H", "True True"), ("-W", "False True")]
)
def test_three_levels_differ_in_read_only_and_authorized(
    server: SingleServer, option: str, wanted: str
) -> None:
    path = server.script(
        "from dynamo.core.executable import *\nfrom dynamo.core import executable\n"
        "print(executable.read_only, executable.authorized, executable.authorizer.identify_user(name='guest').name)\n",
        "levels.py",
    )
    assert server.run("exec_auth", "-x", path, "-t", "levels").returncode == 0
    done = server.dynamo(*filter(None, [option]), "-t", "levels", path)
    assert done.stdout == f"{wanted} guest\n", done.stderr


def _case_read_level(server: SingleServer) -> dict[str, Any]:
    path = server.script(ADD + "for n in range(6):\n    inventory.update(Site(f'R{n}'))\n")
    done = server.dynamo(path)
    changed = any(name.startswith("R") for name in server.inventory().sites)
    return {"status": "done", "exit_code": done.returncode, "inventory_changed": changed, "authorized": False}


def _outcome(server: SingleServer, body: str, site: str) -> dict[str, Any]:
    done = _write(server, f"inventory.update(Site('{site}'))\n{body}", title=site)
    newest = json.loads(server.dynamo("-l", "--json").stdout.splitlines()[0])
    return {
        "status": newest["status"],
        "exit_code": newest["exit_code"],
        "inventory_changed": site in server.inventory().sites,
        "client": done,
    }


def _recorded() -> dict[str, dict[str, Any]]:
    return {
        case["case"]: {**case, **(case["ours"] if isinstance(case.get("ours"), dict) else {})}
        for case in vectors("inventory")["application_outcomes"]
    }


def test_every_recorded_outcome_of_a_job_on_one_server(server: SingleServer) -> None:
    recorded = _recorded()
    ours = {
        "read level, script updates six objects": _case_read_level(server),
        "write level, authorised for everybody": _outcome(
            server, "from dynamo.core import executable\nassert not executable.read_only", "W0"
        ),
        "write level, sys.exit(1) after an update": _outcome(server, "import sys; sys.exit(1)", "W1"),
        "write level, sys.exit(0) after an update": _outcome(server, "import sys; sys.exit(0)", "W2"),
        "write level, exception after an update": _outcome(server, "raise ValueError('boo')", "W3"),
        "write level, sys.exit() without value after an update": _outcome(
            server, "import sys; sys.exit()", "W4"
        ),
    }
    for name, outcome in ours.items():
        for key in ("status", "exit_code", "inventory_changed"):
            assert outcome[key] == recorded[name][key], (name, key)
    assert len(ours) == 6
    error = ours["write level, exception after an update"]["client"].stderr
    assert "ValueError: boo" in error
    assert "child.py" not in error
    assert ours["write level, exception after an update"]["client"].returncode == 1
    report_count("outcomes of jobs", len(ours))


@pytest.mark.parametrize("value", ["", "None", "0"])
def test_w13_exits_without_a_failure_keep_the_changes(server: SingleServer, value: str) -> None:
    site = f"X{value or 'empty'}"
    assert _outcome(server, f"import sys; sys.exit({value})", site)["inventory_changed"]


@pytest.mark.parametrize(
    "ending", ["sys.exit(3)", "sys.exit('text')", "os.kill(os.getpid(), 9)", "1/0", "os._exit(7)"]
)
def test_w13_every_other_end_drops_the_changes(server: SingleServer, ending: str) -> None:
    outcome = _outcome(server, f"import os, sys; {ending}", "Dropped")
    assert outcome["status"] == "failed"
    assert not outcome["inventory_changed"]
    assert outcome["client"].returncode != 0


def test_a_writer_without_a_right_is_refused(server: SingleServer) -> None:
    case = _recorded()["write level, no authorisation"]
    done = _write(server, "inventory.update(Site('U1'))\n", authorize=False, title="unauthorised")
    assert case["client_exit_code_ours"] == "non-zero"
    assert done.returncode != 0
    assert case["client_says"] in done.stderr
    _assert_newest(server, case)
    assert "U1" not in server.inventory().sites


def _assert_newest(server: SingleServer, case: dict[str, Any]) -> None:
    newest = json.loads(server.dynamo("-l", "--json").stdout.splitlines()[0])
    assert {key: newest[key] for key in ("status", "exit_code")} == {
        key: case[key] for key in ("status", "exit_code")
    }


def test_w17_one_byte_more_and_the_right_is_gone(server: SingleServer) -> None:
    path = server.script(ADD + "inventory.update(Site('U2'))\n", "changed.py")
    server.run("exec_auth", "-x", path, "-t", "changed")
    with open(path, "a") as script:
        script.write("\n")
    done = server.dynamo("-W", "-t", "changed", path)
    assert "authfailed" in done.stderr
    _assert_newest(server, _recorded()["write level, one line added to the authorised file"])
    assert server.dynamo("-W", "-t", "othertitle", path).returncode != 0
    assert "U2" not in server.inventory().sites


def test_w17_what_lies_in_the_work_area_is_not_what_runs(server: SingleServer) -> None:
    path = server.script("print('original')\n", "original.py")
    server.run("exec_auth", "-x", path, "-t", "original")
    blocker = server.script(ADD + "import time\ntime.sleep(3)\n", "blocker.py")
    server.run("exec_auth", "-x", blocker, "-t", "blocker")
    server.dynamo("-W", "-A", "-t", "blocker", blocker)
    answer = json.loads(server.dynamo("-W", "-A", "-t", "original", "--json", path).stdout)
    with open(f"{answer['path']}/exec.py", "w") as swapped:
        swapped.write("print('swapped')\n")
    _wait_for_end(server, answer["appid"])
    with open(f"{answer['path']}/_stdout") as output:
        assert "original" in output.read()


def _poll(server: SingleServer, number: int) -> dict[str, Any]:
    return dict(json.loads(server.dynamo("-p", str(number), "--json").stdout))


def _wait_for_end(server: SingleServer, number: int) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        row = _poll(server, number)
        return row if row["status"] not in ("new", "assigned", "run") else None

    return dict(wait_for(ended, f"End of application {number}"))


def test_w15_rights_are_listed_given_once_and_taken(server: SingleServer) -> None:
    path = server.script("print('listed')\n", "listed.py")
    first = json.loads(server.run("exec_auth", "-x", path, "-t", "listed", "--json").stdout)
    assert first == [{"title": "listed", "user": "ALL", "result": "authorized"}]
    second = json.loads(server.run("exec_auth", "-x", path, "-t", "listed", "--json").stdout)
    assert second[0]["result"] == "already authorized"
    found = json.loads(server.run("exec_auth", "-L", "-x", path, "--json").stdout)
    assert [row["title"] for row in found] == ["listed"]
    assert server.run("exec_auth", "-D", "-t", "listed").returncode == 0
    assert json.loads(server.run("exec_auth", "-L", "-x", path, "--json").stdout) == []
    assert server.run("exec_auth", "-D", "-t", "listed").returncode == 1


def test_w15_taking_a_role_without_a_target_takes_it_everywhere(server: SingleServer) -> None:
    server.run("user_auth", "-u", "temp", "-n", "CN=temp,O=Acme,C=US", "-Y", "-r", "operator")
    rows = json.loads(server.run("user_auth", "-L", "-u", "temp", "--json").stdout)
    assert {row["target"] for row in rows} == {"inventory", "history", "registry", "application"}
    assert rows[0]["dn"] == "/C=US/O=Acme/CN=temp"
    refused = server.run("user_auth", "-R", "-u", "temp")
    assert (refused.returncode, "give -r ROLE" in refused.stderr) == (2, True)
    assert json.loads(server.run("user_auth", "-L", "-u", "temp", "--json").stdout) == rows
    rows = json.loads(server.run("user_auth", "-R", "-u", "temp", "-r", "operator", "--json").stdout)
    assert [row["role"] for row in rows] == [""]


def test_a_right_for_one_user_helps_no_other(server: SingleServer) -> None:
    path = server.script(ADD + "inventory.update(Site('Own'))\n", "own.py")
    assert server.run("exec_auth", "-x", path, "-t", "own", "-u", "guest").returncode == 0
    assert "authfailed" in server.dynamo("-W", "-t", "own", path).stderr
    assert server.run("exec_auth", "-x", path, "-t", "own", "-u", "admin").returncode == 0
    assert server.dynamo("-W", "-t", "own", path).returncode == 0


def test_a_job_is_killed_and_says_so(server: SingleServer) -> None:
    path = server.script("import time\nprint('begun', flush=True)\ntime.sleep(600)\n", "long.py")
    answer = json.loads(server.dynamo("-A", "--json", path).stdout)
    number = answer["appid"]
    wait_for(lambda: _poll(server, number)["status"] == "run", "Start of the job")
    case = _recorded()["asynchronous job killed by the client"]
    first = json.loads(server.dynamo("-x", str(number), "--json").stdout)
    assert first == case["first_answer"]
    row = _wait_for_end(server, number)
    assert (row["status"], row["exit_code"]) == (case["status"], case["exit_code"])
    second = json.loads(server.dynamo("-x", str(number), "--json").stdout)
    assert second == case["second_answer"]


def test_unknown_numbers_users_and_rights_are_refused(server: SingleServer) -> None:
    done = server.dynamo("-p", "9999")
    assert (done.returncode, done.stderr) == (1, _recorded()["poll of an unknown id"]["client_says"] + "\n")
    path = server.script("print('hello')\n")
    assert "Unidentified user DN /O=Acme, Inc./CN=stranger" in server.dynamo(path, user="stranger").stderr
    assert "neither admin nor operator" in server.dynamo(path, user="guest").stderr


def test_the_console_goes_on_after_an_error(server: SingleServer) -> None:
    _write(server, "inventory.update(Site('C1'))\n", title="console")
    done = server.dynamo(stdin="print(sorted(inventory.sites.keys())[0])\n1/0\nprint('still here')\n")
    (case,) = (case for name, case in _recorded().items() if name.startswith("interactive console"))
    assert case["stdout_contains"] in done.stdout
    assert case["prompt"] in done.stdout
    assert case["traceback"] in done.stderr
    assert case["session_continues"]
    assert "C1" in done.stdout
    assert "still here" in done.stdout


def test_one_writes_at_a_time_while_others_read(server: SingleServer) -> None:
    with tempfile.TemporaryDirectory(prefix="dynamo-flag-") as name:
        Path(name).chmod(0o755)  # programs run as another user
        flag = Path(name) / "go"
        slow = server.script(
            ADD
            + "import os, time\ninventory.update(Site('Slow'))\n"
            + f"while not os.path.exists({str(flag)!r}):\n    time.sleep(0.05)\n",
            "slow.py",
        )
        fast = server.script(
            ADD
            + "import sys\ninventory.update(Site('Fast'))\nsys.exit(0 if 'Slow' in inventory.sites else 5)\n",
            "fast.py",
        )
        for path, title in ((slow, "slow"), (fast, "fast")):
            server.run("exec_auth", "-x", path, "-t", title)
        first = json.loads(server.dynamo("-W", "-A", "-t", "slow", "--json", slow).stdout)["appid"]
        wait_for(lambda: _poll(server, first)["status"] == "run", "Start of the first writer")
        second = json.loads(server.dynamo("-W", "-A", "-t", "fast", "--json", fast).stdout)["appid"]
        assert server.dynamo(fast).returncode == 5
        assert (_poll(server, first)["status"], _poll(server, second)["status"]) == ("run", "new")
        flag.touch()
        wait_for(lambda: _poll(server, first)["status"] == "done", "End of the first writer")
        wait_for(lambda: _poll(server, second)["status"] == "done", "End of the second writer")


def test_a_program_may_write_nothing_but_its_work_area(server: SingleServer) -> None:
    path = server.script(
        "import os\nopen('here.txt', 'w').write('x')\nprint(os.listdir('.'))\n"
        f"for place in ({str(server.folder / 'there.txt')!r}, '/var/tmp/there.txt'):\n"
        "    try:\n        open(place, 'w')\n        print('written')\n"
        "    except OSError as error:\n        print('refused')\n"
        f"try:\n    open({str(server.folder / 'server.db')!r}, 'rb')\n    print('read')\n"
        "except OSError:\n    print('unreadable')\n"
        "print(os.listdir('/proc/self/fd'))\n",
        "confined.py",
    )
    done = server.dynamo(path)
    lines = done.stdout.splitlines()
    assert "here.txt" in lines[0], done.stderr
    assert lines[1:3] == ["refused", "refused"]
    if os.geteuid() == 0:
        assert lines[3] == "unreadable"


def test_no_client_hears_of_a_job_that_left_processes_behind(server: SingleServer) -> None:
    mark = f"left-by-{server.pid}"
    path = server.script(
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', {mark!r}],"
        " start_new_session=True)\n",
        "orphan.py",
    )
    done = server.dynamo(path)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: not processes_with(mark), "End of what the program left behind", LIMIT_S)
