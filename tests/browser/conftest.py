"""One world and one browser for all tests of a process: real Temporal, real workers, a real dashboard, real Chromium."""

import asyncio
import json
import os
import re
import shutil

import pytest
import pytest_asyncio

from kitsune.dashboard.users import entry_text
from kitsune.embedded.server import EmbeddedServer
from support.cut import Cut
from support.logins import HASH
from support.small_fleet import SmallFleet, end_all

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: Longest wait for something on a page, in milliseconds.
WAIT = 30_000


class World:
    """A dashboard over a small fleet.

    Attributes:
        temporal: The dashboard's line to Temporal.
        line: The browser's line to the dashboard.
        url: The dashboard, over that line.
    """

    def __init__(self, address, folder):
        self.fleet = SmallFleet(address, folder, "web-1", "web-2", "web-3")
        self.servers = self.fleet.servers
        self.temporal = Cut(address)
        self._dashboards = []
        self.direct = self._serve("--address", self.temporal.address)
        self.line = Cut(self.direct.removeprefix("http://"))
        self.url = f"http://{self.line.address}"
        self._guarded = None

    def _serve(self, *options):
        """Start a dashboard and return where it is."""
        with (self.fleet.folder / f"dashboard-{len(self._dashboards)}.log").open("wb") as log:
            started = self.fleet.begin("dashboard", "--port", "0", *options, stderr=log)
        self._dashboards.append(started)
        return re.search(r"http://[^ ]+", started.stdout.readline().decode())[0].rstrip("/")

    def guarded(self):
        """Return where a dashboard with a login is; its only user is the viewer vera."""
        if self._guarded is None:
            users = self.fleet.folder / "users.toml"
            users.touch(mode=0o600)
            users.write_text(entry_text("vera", role="viewer", password_hash=HASH))
            self._guarded = self._serve("--authentication", "local", "--users-file", str(users))
        return self._guarded

    def close(self):
        """End everything."""
        end_all(self._dashboards)
        for dashboard in self._dashboards:
            dashboard.stdout.close()
        for line in (self.temporal, self.line):
            line.close()
        self.fleet.close()

    def plan(self, *steps, name="web", **strategy):
        """Return a plan as text."""
        plan = {"name": name, "servers": self.servers, "steps": list(steps)}
        return json.dumps(plan | {"rolloutStrategy": strategy}, indent=2)


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The world, with a Temporal of its own: it stays, and its workers would take what is meant for other tests'."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium (on Debian: apt install chromium)")
    loop = asyncio.new_event_loop()
    server = EmbeddedServer()
    loop.run_until_complete(server.start())
    try:
        world = World(server.address, tmp_path_factory.mktemp("browser"))
        yield world
        world.close()
    finally:
        loop.run_until_complete(server.stop())
        loop.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(world):
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], env={**os.environ}
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(world, chromium):
    """A page of a fresh browser; what its policy refuses, or its scripts throw, fails the test."""
    context = await chromium.new_context(base_url=world.url)
    context.set_default_timeout(WAIT)
    page = await context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on(
        "console",
        lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
    )
    page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
    yield page
    await context.close()
    assert faults == []
