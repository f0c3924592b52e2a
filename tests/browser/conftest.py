"""Browsers, started once for the folder; a page of its own, watched from its first request on, for each test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright
from support.known_speech import KnownSpeech, Tones, house_that_knows
from support.paths import ROOT
from support.site_without_ray import Site, site_of
from support.speech import Speaker

from browser.chromium import ALLOWED, REFUSED, Microphone, chromium
from browser.learner import Learner, visiting
from browser.lesson import REPLIES


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
def site(speech: Speaker) -> Iterator[Site]:
    """The page and its routes over quick stages that know the learner's sentences by their sound."""
    house = house_that_knows({text: speech(text) for text in REPLIES}, REPLIES)
    assert isinstance(house.stt, KnownSpeech)
    house.stt.takes_s, house.llm.word_s = 0.4, 0.08  # each state of the page lasts long enough to be seen
    with site_of(house, cors_origins=["null"]) as site:
        yield site


@pytest.fixture
def slow_voice(site: Site) -> None:
    """Answers that last long enough to be interrupted."""
    assert isinstance(site.house.tts, Tones)
    site.house.tts.letter_s = 0.1


@pytest.fixture
def learner(browser: Browser, site: Site, microphone: Microphone) -> Generator[Learner]:
    """The page of the site, ready to talk."""
    with visiting(browser, site.url, microphone) as learner:
        learner.open().until("ready")
        yield learner


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """A folder that git ignores; scripts/keep_screenshots.sh takes them into the README."""
    folder = ROOT / ".parle/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
