"""Pages in a browser, which runs as its own user."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.dynamo.applications.test_detox import FILL
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


def _rows(browser: webdriver.Chrome, server: SingleServer, path: str) -> list[list[str]]:
    browser.get(f"http://localhost:{server.ports['http']}{path}")
    screenshots = os.environ.get("SCREENSHOTS")
    if screenshots:
        browser.save_screenshot(f"{screenshots}/{path.strip('/').split('?')[0].replace('/', '-')}.png")
    return [
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
        for row in browser.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def test_sites_are_shown_with_how_full_they_are(browser: webdriver.Chrome, server: SingleServer) -> None:
    rows = _rows(browser, server, "/web/inventory/sites")
    assert rows == [["D1", "disk", "ready", "3", "0.00 of 0.00 TB", ""]]
    width = browser.find_element(By.CSS_SELECTOR, ".bar span").get_attribute("style")
    assert width is not None
    assert "75%" in width
    assert browser.title == "Dynamo inventory"


def test_statistics_are_shown_as_bars(browser: webdriver.Chrome, server: SingleServer) -> None:
    rows = _rows(browser, server, "/web/inventory/stats?statistic=size&list_by=dataset")
    assert [row[0] for row in rows] == ["/Keep/1", "/New/1", "/Old/1"]


def test_applications_are_shown_with_their_status(browser: webdriver.Chrome, server: SingleServer) -> None:
    (row,) = _rows(browser, server, "/web/applications")
    assert row[1:7] == ["<fill>", "done", "write", "admin", "single", "0"]


def test_servers_are_shown_with_the_primary(browser: webdriver.Chrome, server: SingleServer) -> None:
    def settled() -> bool:
        (row,) = _rows(browser, server, "/web/servers")
        return [*row[:3], row[5]] == ["single", "primary", "online", "0"]

    wait_for(settled, "A primary that is not behind")
