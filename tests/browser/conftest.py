"""Browsers, started once for the folder; a page of its own, watched from its first request on, for each test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Playwright, sync_playwright
from support.paths import ROOT
from support.servers import Server
from support.speech import Speaker

from browser.chromium import ALLOWED, REFUSED, Microphone, chromium
from browser.learner import Learner, visiting


@pytest.fixture(scope="package")
def playwright() -> Generator[Playwright]:
    """Ends with the folder: while it runs, no other test of the process can have an event loop."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def microphone(speech: Speaker, tmp_path_factory: pytest.TempPathFactory) -> Microphone:
    return Microphone(tmp_path_factory.mktemp("microphone") / "speech.wav", speech)


@pytest.fixture(scope="package")
def browser(playwright: Playwright, microphone: Microphone) -> Generator[Browser]:
    """Its microphone may be used and speaks Portuguese."""
    with chromium(playwright, ALLOWED, *microphone.flags) as running:
        yield running


@pytest.fixture
def refusing_browser(playwright: Playwright, microphone: Microphone) -> Generator[Browser]:
    """It has a microphone and refuses it to every page."""
    with chromium(playwright, REFUSED, *microphone.flags) as running:
        yield running


@pytest.fixture
def deaf_browser(playwright: Playwright) -> Generator[Browser]:
    """It would allow a microphone and has none."""
    with chromium(playwright, ALLOWED) as running:
        yield running


@pytest.fixture
def learner(browser: Browser, server: Server, microphone: Microphone) -> Generator[Learner]:
    """The page of the server, ready to talk."""
    with visiting(browser, server.url, microphone) as learner:
        learner.open().until("ready")
        yield learner


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where the README finds them; each run takes them anew."""
    folder = ROOT / "docs/screenshots"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="package")
def quick_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack that starts fast, and has a place for one learner only."""
    stack = yaml.safe_load((ROOT / "configs/cpu_stack.yaml").read_text("utf-8"))
    args = stack["applications"][0]["args"]
    args["llm"].update(model="wheel:gemma-3-270m", chat_template="transcript", context_tokens=2048)
    args["limits"] = {"max_sessions": 1, "history_tokens": 500, "reply_tokens": 40}
    path = tmp_path_factory.mktemp("quick-stack") / "quick_stack.yaml"
    path.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    return path
