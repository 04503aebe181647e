"""What the screen says."""

from __future__ import annotations

from images.boot.screen import Colour, Line, Stage, UnitRow, View, compose, errors, report


def shown(view: View, page: int = 1) -> dict[str, Colour]:
    return {line.text: line.colour for line in compose(view, page, 120, 40)}


def test_before_the_network_is_up_the_stage_and_its_last_error_are_there() -> None:
    stage = Stage("network", "working", "asking for an address", "no cable: eth0 has no link", 70)
    lines = shown(View(farm=7, farm_source="command line", stages=[stage]))
    assert lines["network: asking for an address   70 s"] is Colour.RED
    assert lines["no cable: eth0 has no link"] is Colour.RED
    assert lines["farm 7 (command line)"] is Colour.GREEN
    assert lines["node: in progress"] is Colour.YELLOW


def test_a_registered_node_is_green_and_has_no_stages() -> None:
    view = View(
        node=12, twin=30, farm=7, farm_source="node.cfg", farm_name="mine", mode="dev", mode_source="DHCP",
        cache="ok", stages=[Stage("network", "done", "eth0")], workloads=3, addresses=["zos 10.0.0.4/24"],
        disks=[("/dev/vda", True, "pool"), ("/dev/vdb", False, "empty gpt table")],
    )  # fmt: skip
    lines = shown(view)
    assert lines["node 12   twin 30"] is Colour.GREEN
    assert lines["farm 7 mine (node.cfg)"] is Colour.GREEN
    assert lines["run mode dev (DHCP)"] is Colour.GREEN
    assert lines["cache OK"] is Colour.GREEN
    assert lines["no errors"] is Colour.GREEN
    assert {"workloads: 3", "address zos 10.0.0.4/24", "disks: 1 used, 1 left alone (key 3)"} <= lines.keys()
    assert not any(text.startswith("network:") for text in lines)
    assert shown(view, 3)["/dev/vdb: empty gpt table"] is Colour.YELLOW


def test_what_is_beyond_the_usual_is_a_sentence_on_every_console() -> None:
    view = View(notes=["public side: eth0.5"], image="slot A, good")
    assert shown(view)["public side: eth0.5"] is Colour.PLAIN
    assert {"public side: eth0.5", "image: slot A, good"} <= set(report(view))


def test_what_the_farmer_must_mend_is_red() -> None:
    lines = shown(View(farm=0, mode="", mode_source="command line", cache="no SSD, only HDD"))
    assert lines["node 0 (unregistered)"] is Colour.RED
    assert lines["farm 0: no farm id yet: command line, node.cfg or DHCP option 224"] is Colour.RED
    assert lines["run mode unknown (command line)"] is Colour.RED
    assert lines["cache: no SSD, only HDD"] is Colour.RED


def test_errors_are_not_repeated_and_units_say_why() -> None:
    view = View(
        stages=[Stage("disks", "failed", error="no disk")],
        problems=["farmer_id=x (DHCP): a number", "no disk"],
        registration_error="chain not reachable",
        units=[UnitRow("zosd", "error", why="status 1"), UnitRow("redis", "running")],
    )
    assert errors(view) == [
        "no disk",
        "farmer_id=x (DHCP): a number",
        "chain not reachable",
        "zosd: status 1",
    ]


def test_a_page_fits_the_screen_whatever_it_has_to_say() -> None:
    view = View(problems=["word " * 60] * 20, log=["x" * 500] * 100, units=[UnitRow("u", "running")] * 60)
    for page in range(6):
        lines = compose(view, page, 80, 25)
        assert len(lines) <= 25
        assert all(len(line.text) <= 80 for line in lines)
        assert isinstance(lines[-1], Line)
        assert lines[-1].text.startswith("keys:")


def test_the_serial_console_gets_sentences() -> None:
    view = View(farm=3, farm_source="command line", stages=[Stage("network", "working", "asking", age=9)])
    first = report(view)
    assert "network: asking" in first
    later = Stage("network", "working", "asking", age=10)
    assert report(View(farm=3, farm_source="command line", stages=[later])) == first
