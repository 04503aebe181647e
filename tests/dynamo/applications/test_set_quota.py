"""The application that sets quotas."""

from __future__ import annotations

from pathlib import Path

import dynamo.exec.set_quota

from tests.dynamo.single_server import SingleServer

SET_QUOTA = str(Path(dynamo.exec.set_quota.__file__))


def test_quotas_are_set_scaled_and_shown(server: SingleServer) -> None:
    make = server.script(
        "from dynamo.core.executable import inventory\nfrom dynamo.dataformat import Site\n"
        "for name in ('Q_A', 'Q_B'):\n    inventory.update(Site(name))\n",
        "make.py",
    )
    for path, title in ((make, "make"), (SET_QUOTA, "set_quota")):
        assert server.run("exec_auth", "-x", path, "-t", title).returncode == 0
    assert server.dynamo("-W", "-t", "make", make).returncode == 0
    run = f"{SET_QUOTA} -s Q_A Q_B -g Owned"
    done = server.dynamo("-W", "-t", "set_quota", f"{run} -v 1.5")
    assert done.stdout == "Q_A Owned: 1.500 TB\nQ_B Owned: 1.500 TB\n", done.stderr
    assert server.dynamo("-W", "-t", "set_quota", f"{SET_QUOTA} -s Q_A -g Owned -c 2").returncode == 0
    assert server.dynamo(f"{run} -d").stdout == "Q_A Owned: 3.000 TB\nQ_B Owned: 1.500 TB\n"
    tried = server.dynamo(f"{run} -v 9")
    assert "nothing is changed" in tried.stderr
    assert server.dynamo(f"{run} -d").stdout.startswith("Q_A Owned: 3.000 TB\n")
    assert "Unknown partition Nowhere" in server.dynamo(f"{SET_QUOTA} -s Q_A -g Nowhere -d").stderr
