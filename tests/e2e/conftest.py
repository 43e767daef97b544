"""A real browser on a real hub. A page that logs an error, or breaks its own policy of content, fails its test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.e2e.journeys import Visitor

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 1000
EXPECTED_NOISE = "Failed to load resource"
"""Chromium writes this for each answer of 4xx or 5xx, also for those that the page handles."""


@dataclass
class Complaints:
    """What a page's console said that it should not have said."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen to the page from now on."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.found.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and EXPECTED_NOISE not in message.text:
            self.found.append(f"{message.text} ({message.location.get('url', '')})")


@pytest.fixture(scope="session")
def public_key() -> str:
    """An SSH public key that a cloud accepts."""
    key = Ed25519PrivateKey.generate().public_key()
    written = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{written.decode()} newcomer@laptop"


@pytest.fixture(scope="session", autouse=True)
def built_pages() -> None:
    """The scripts and styles, built if they are not."""
    if not (ROOT / "node_modules").exists():
        subprocess.run(["npm", "ci"], cwd=ROOT, check=True)
    if not (ROOT / "static/dist/manifest.json").exists():
        subprocess.run(["npm", "run", "build"], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that `MCHUB_CHROMIUM` names.

    Not longer than a module: while it is open its event loop runs in this thread, and no other test could run one.
    """
    path = os.environ.get("MCHUB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path is not None, "These tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without a past."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    context.set_default_timeout(20 * SECONDS)
    yield context
    context.close()


@pytest.fixture
def complaints(context: BrowserContext) -> Iterator[Complaints]:
    """Fails the test in the end if any page of the context complained."""
    complaints = Complaints()
    context.on("page", complaints.watch)
    yield complaints
    assert complaints.found == []


@pytest.fixture
def page(context: BrowserContext, complaints: Complaints) -> Page:
    """One tab."""
    return context.new_page()


@pytest.fixture
def visitor(page: Page, public_key: str) -> Visitor:
    """Somebody in front of that tab, with an SSH key."""
    return Visitor(page, public_key)
