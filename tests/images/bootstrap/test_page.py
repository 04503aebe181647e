"""The farmer's page in a real browser."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from images import manifest
from images.bootstrap.server import Service
from tests.images.bootstrap.test_service import FILES, MODES, farm_name

PATIENCE_S = 60.0


class Served:
    """The service in a thread of its own, because the browser's driver blocks ours."""

    def __init__(self, folder: Path) -> None:
        for name, content in FILES.items():
            (folder / name).write_bytes(content)
        key = manifest.load_or_make_key(folder / "key")
        release = manifest.describe(folder, FILES, "1.0", 1)
        self._service = Service(folder, release, MODES, farm_name, key)
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._stop: asyncio.Event | None = None
        self.url = ""
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._up.wait(PATIENCE_S)

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        runner = web.AppRunner(self._service.app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._up.set()
        await self._stop.wait()
        await runner.cleanup()

    def close(self) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        self._loop.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    folder = tmp_path / "release"
    folder.mkdir()
    found = Served(folder)
    yield found
    found.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium: install the Debian packages chromium and chromium-driver")
    options = Options()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     f"--user-data-dir={tmp_path / 'profile'}"):  # fmt: skip
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    found = webdriver.Chrome(options=options, service=Driver(driver))
    yield found
    found.quit()


def until(browser: webdriver.Chrome, look: Callable[[webdriver.Chrome], Any]) -> Any:
    return WebDriverWait(browser, PATIENCE_S).until(look)


def said(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "said").text


def ask(browser: webdriver.Chrome, mode: str, farm: str) -> None:
    Select(browser.find_element(By.ID, "mode")).select_by_value(mode)
    field = browser.find_element(By.ID, "farm")
    field.clear()
    field.send_keys(farm)
    browser.find_element(By.ID, "check").click()


def test_a_farmer_sees_the_farm_s_name_before_anything_can_be_downloaded(
    served: Served, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    browser.get(served.url)
    links = browser.find_elements(By.CSS_SELECTOR, "a[data-format]")
    assert len(links) == 6
    assert not any(link.is_displayed() for link in links)

    for mode, farm, sentence in (
        ("dev", "abc", "number"),
        ("dev", "0", "above zero"),
        ("dev", "8", "there is no farm 8 on dev"),
        ("qa", "7", "does not answer"),
    ):
        ask(browser, mode, farm)
        until(browser, lambda page, sentence=sentence: sentence in said(page))
        assert not links[0].is_displayed()

    ask(browser, "dev", "7")
    until(browser, lambda page: said(page) == "Farm 7: seven <b>")
    until(browser, lambda page: links[0].is_displayed())
    assert links[0].get_attribute("href") == f"{served.url}/uefimg/dev/7"

    links[0].click()
    target = tmp_path / "downloads/node-dev-farm7.img"
    deadline = time.monotonic() + PATIENCE_S
    while not target.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    content = target.read_bytes()
    assert b"runmode=dev farmer_id=7" in content
    assert len(content) == len(FILES["node.img"])
    assert hashlib.sha256(content).digest() != hashlib.sha256(FILES["node.img"]).digest()

    browser.find_element(By.ID, "farm").send_keys("1")
    until(browser, lambda page: not links[0].is_displayed())
