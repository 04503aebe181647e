from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from oio.cli import openio, openio_admin
from oio.cli.session import run
from oio.common.configuration import load_namespace_conf
from tests.oio.directory.on_services import Package, package

Answer = tuple[int, str, str]
Run = Callable[..., Answer]
PROGRAMS = {"openio": openio.app, "openio-admin": openio_admin.app}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Package]:
    folder = tmp_path_factory.mktemp("cli")
    with package(folder) as found:
        found.cluster.deployment.write_namespace_file(folder / ".oio" / "sds.conf")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOME", str(folder))
            patch.setenv("OIO_NS", "OPENIO")
            patch.setenv("OIO_ACCOUNT", "acct")
            load_namespace_conf("OPENIO", fresh=True)
            yield found


@pytest.fixture
def cli(live: Package, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a program as its entry point does: exit status, standard output, standard error."""

    def act(program: str, *arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            run(PROGRAMS[program], program)
        shown = capsys.readouterr()
        return int(caught.value.code or 0), shown.out, shown.err

    return act
