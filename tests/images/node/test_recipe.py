"""The recipe's decisions, without building anything."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest

from images.boot.unit import load_units
from images.debian import ImageError, is_kernel
from images.node import recipe, root, wheels
from images.node.initrd import ALIGN, one_file

OVERLAY = Path(root.__file__).parent / "overlay"


def test_the_needed_packages_are_locked_with_hashes_and_tools_are_not_among_them() -> None:
    names = wheels.needed()
    assert {"aiohttp", "pyroute2", "redis"} <= set(names)
    assert not {"pytest", "mypy", "ruff", "selenium"} & set(names)
    text = wheels.subset((wheels.PROJECT / "requirements.lock").read_text(), names)
    assert text.count("--hash=sha256:") >= len(names)
    assert "pytest==" not in text


def test_a_package_that_is_not_locked_is_named() -> None:
    with pytest.raises(ImageError, match="nonsense"):
        wheels.subset("aiohttp==1 \\\n    --hash=sha256:00\n", ["nonsense"])


def test_wheels_are_unpacked_without_tests_and_never_outside(tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("thing/a.py", "thing/tests/b.py", "thing/c.pyx", "thing-1.0.dist-info/RECORD",
                     "thing-1.0.dist-info/METADATA", "thing-1.0.data/purelib/other.py"):  # fmt: skip
            archive.writestr(name, "x")
    assert wheels.unzip([wheel], tmp_path / "to") == {"thing": "1.0"}
    found = {
        str(file.relative_to(tmp_path / "to")) for file in (tmp_path / "to").rglob("*") if file.is_file()
    }
    assert found == {"thing/a.py", "other.py", "thing-1.0.dist-info/METADATA"}
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("../evil.py", "x")
    with pytest.raises(ImageError, match="leads out"):
        wheels.unzip([wheel], tmp_path / "to")


def test_the_kernel_flavours_are_told_apart() -> None:
    generic, cloud = "linux-image-6.1.0-56-amd64", "linux-image-6.1.0-56-cloud-amd64"
    assert is_kernel(generic, recipe.KERNEL)
    assert not is_kernel(cloud, recipe.KERNEL)
    assert is_kernel(cloud, "linux-image-cloud-amd64")
    assert not is_kernel("linux-image-amd64", recipe.KERNEL)


def test_versions_are_read_from_dpkg_s_status() -> None:
    status = "Package: a\nStatus: x\nVersion: 1-2\nDescription: y\n more: z\n\nPackage: b\nVersion: 3\n"
    assert root.package_versions(status) == {"a": "1-2", "b": "3"}


def test_the_second_archive_of_the_one_file_initrd_is_aligned(tmp_path: Path) -> None:
    image = tmp_path / "root.img"
    image.write_bytes(b"content")
    for length in range(1, 9):
        whole = one_file(b"x" * length, image)
        assert whole.index(b"070701") % ALIGN == 0


def test_every_unit_of_the_image_is_good_and_comes_after_known_ones() -> None:
    units, problems = load_units(OVERLAY / "etc/zos/units")
    assert problems == []
    names = {unit.name for unit in units}
    assert all(set(unit.after) <= names for unit in units)
    assert {"console", "network", "storage", "redis", "bus", "zosd"} <= names
    assert next(unit for unit in units if unit.name == "console").after == ()


def test_what_runs_in_the_node_is_not_a_build_tool() -> None:
    project = tomllib.loads((wheels.PROJECT / "pyproject.toml").read_text())
    assert "*.html" in project["tool"]["setuptools"]["package-data"]["*"]
    for name in ("images/node/build.py", "devgrid/cli.py", "oio/__init__.py", "x/tests/a.py"):
        assert wheels.UNUSED.search(name)
    for name in ("images/boot/pid1.py", "images/__init__.py", "zosd/cli.py", "provisioners/system/udhcpc.sh"):
        assert not wheels.UNUSED.search(name)


def test_what_a_node_calls_and_the_tree_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    for name in recipe.PROGRAMS[1:]:
        (tmp_path / "usr/sbin" / name).symlink_to("/etc/alternatives/x")
    assert root.missing_parts(tmp_path) == [recipe.PROGRAMS[0], *recipe.FILES]
