"""Pages in a browser, which runs as its own user."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dynamo.exec.detox
import pytest
from dynamo.client.webserver import WebServer
from dynamo.dataformat import OperationalError
from dynamo.dataformat.sizes import readable_size
from dynamo.web.modules.inventory._pages import _choices
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.dynamo.applications.test_detox import FILL, POLICY
from tests.dynamo.single_server import SingleServer, wait_for

BROWSER = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SingleServer]:
    single = SingleServer(tmp_path_factory.mktemp("pages"))
    single.start()
    try:
        fill = single.script(FILL, "fill.py")
        assert single.run("exec_auth", "-x", fill, "-t", "<fill>").returncode == 0
        assert single.dynamo("-W", "-t", "<fill>", fill).returncode == 0
        yield single
    finally:
        single.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    if BROWSER is None or DRIVER is None:
        if os.environ.get("CI"):
            pytest.fail("chromium and chromium-driver are not installed")
        pytest.skip("chromium and chromium-driver are not installed")
    with tempfile.TemporaryDirectory(prefix="dynamo-browser-") as name:
        home = Path(name)
        environment = {"HOME": name, "PATH": os.environ["PATH"], "TMPDIR": name}
        service = webdriver.ChromeService(
            executable_path=str(DRIVER), env=environment, popen_kw=_as_nobody(home)
        )
        options = webdriver.ChromeOptions()
        options.binary_location = str(BROWSER)
        for argument in ("--headless=new", "--disable-gpu", "--no-sandbox", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.add_argument(f"--user-data-dir={home}/profile")
        options.add_argument("--window-size=1100,700")
        driver = webdriver.Chrome(options=options, service=service)
        driver.set_page_load_timeout(60)
        try:
            yield driver
        finally:
            driver.quit()


def _as_nobody(home: Path) -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    os.chown(home, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _screenshot(browser: webdriver.Chrome, name: str) -> None:
    screenshots = os.environ.get("SCREENSHOTS")
    if screenshots:
        browser.save_screenshot(f"{screenshots}/{name}.png")


def _rows(browser: webdriver.Chrome, server: SingleServer, path: str) -> list[list[str]]:
    browser.get(f"http://localhost:{server.ports['http']}{path}")
    _screenshot(browser, path.strip("/").split("?")[0].replace("/", "-"))
    return [
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
        for row in browser.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def test_sites_are_shown_with_how_full_they_are(browser: webdriver.Chrome, server: SingleServer) -> None:
    rows = _rows(browser, server, "/web/inventory/sites")
    assert rows == [["D1", "disk", "ready", "3", "75 B of 100 B", ""]]
    width = browser.find_element(By.CSS_SELECTOR, ".bar span").get_attribute("style")
    assert width is not None
    assert "75%" in width
    assert browser.title == "Dynamo inventory"


def test_statistics_are_shown_as_bars(browser: webdriver.Chrome, server: SingleServer) -> None:
    rows = _rows(browser, server, "/web/inventory/stats?statistic=size&list_by=dataset")
    assert [row[:2] for row in rows] == [[name, "25 B"] for name in ("/Keep/1", "/New/1", "/Old/1")]
    browser.find_element(By.LINK_TEXT, "site").click()
    rows = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "tbody tr")]
    assert rows == ["D1 75 B"]
    browser.find_element(By.LINK_TEXT, "replication").click()
    assert "statistic=replication&list_by=site" in browser.current_url
    (row,) = browser.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert row.text == "D1 1.00 0.00"
    kind = browser.find_element(By.CSS_SELECTOR, "tbody td:last-child").get_attribute("class")
    assert kind == "number"


def test_applications_are_shown_with_their_status(browser: webdriver.Chrome, server: SingleServer) -> None:
    (row,) = _rows(browser, server, "/web/applications")
    assert row[1:7] == ["<fill>", "done", "write", "admin", "single", "0"]
    assert browser.find_element(By.CSS_SELECTOR, "span.good").text == "done"


def test_detox_shows_cycles_and_decisions_with_their_reason(
    browser: webdriver.Chrome, server: SingleServer
) -> None:
    assert _rows(browser, server, "/web/detox") == []
    with tempfile.TemporaryDirectory(prefix="dynamo-policy-") as name:
        Path(name).chmod(0o755)  # programs run as another user
        policy = Path(name) / "policy.txt"
        policy.write_text(POLICY)
        detox = Path(dynamo.exec.detox.__file__)
        done = server.dynamo("-H", f"{detox} -p {policy} --test -m first")
        assert done.returncode == 0, done.stderr
    (site,) = _rows(browser, server, "/web/detox/test")
    assert site[:6] == ["D1", "100 B", "75 B", "50 B", "0 B", "25 B"]
    assert [
        span.get_attribute("title") for span in browser.find_elements(By.CSS_SELECTOR, ".stacked span")
    ] == [
        "delete",
        "keep",
        "protect",
    ]
    browser.find_element(By.LINK_TEXT, "D1").click()
    rows = browser.find_elements(By.CSS_SELECTOR, "table:last-of-type tbody tr")
    texts = [row.text for row in rows]
    assert any(
        text.startswith("protect /Keep/1") and "Protect dataset.name == /Keep/*" in text for text in texts
    )
    assert any(text.startswith("delete /Old/1") and "default: Dismiss" in text for text in texts)
    _screenshot(browser, "web-detox-site")


def test_an_operator_sees_logs_and_ends_applications(server: SingleServer) -> None:
    waiting = server.script("import time\nprint('waits', flush=True)\ntime.sleep(600)\n", "waiting.py")
    number = json.loads(server.dynamo("-A", "--json", waiting).stdout)["appid"]
    admin, guest = (
        WebServer(f"localhost:{server.ports['https']}", str(server.certificates[user]), None, str(server.ca))
        for user in ("admin", "guest")
    )
    asked = [("appid", str(number))]
    wait_for(lambda: "waits" in (admin.get("applications/log", asked)["data"]["stdout"] or ""), "Some output")
    for refused in (
        lambda: guest.get("applications/log", asked),
        lambda: guest.post_form("applications/kill", asked),
        lambda: admin.get("applications/kill", asked),
    ):
        with pytest.raises(OperationalError, match="refuses"):
            refused()
    assert admin.post_form("applications/kill", asked)["data"]["result"] == "success"

    def ended() -> bool:
        apps = admin.get("applications/current", [])["data"]
        return any(app["appid"] == number and app["status"] == "killed" for app in apps)

    wait_for(ended, "End of the application")
    assert admin.post_form("applications/kill", asked)["data"]["result"] == "noaction"


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1.00 kB"),
        (1500, "1.50 kB"),
        (12_340_000, "12.3 MB"),
        (999_600_000, "1.00 GB"),
        (123_456_000_000_000, "123 TB"),
        (5e18, "5000 PB"),
        (-2500, "-2.50 kB"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(size: float, wanted: str) -> None:
    assert readable_size(size) == wanted


def test_links_of_statistics_keep_constraints_and_their_letters() -> None:
    text = _choices("size", {"dataset": ["/A&amp;B", "&lt;x&gt;"], "group": "g"})
    assert "statistic=usage" in text
    assert "dataset=%2FA%26B&amp;dataset=%3Cx%3E&amp;group=g" in text
    assert "<b>size</b>" in text
    assert "<b>data type</b>" in text


def test_servers_are_shown_with_the_primary(browser: webdriver.Chrome, server: SingleServer) -> None:
    def settled() -> bool:
        (row,) = _rows(browser, server, "/web/servers")
        return [*row[:3], row[5]] == ["single", "primary", "online", "0"]

    wait_for(settled, "A primary that is not behind")
