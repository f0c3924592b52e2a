"""A server that asks for a key, as the learner at the page sees it: asked once, and never kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from support.known_speech import house_that_knows
from support.site_without_ray import site_of
from support.speech import Speaker

from browser.chromium import Microphone
from browser.learner import visiting
from browser.lesson import REPLIES, SECOND
from serve_app.access import keys


@pytest.mark.parametrize("language", ["pt-BR", "en-GB", "de-DE"])
def test_the_key_is_asked_for_once_and_never_kept(
    browser: Browser, speech: Speaker, microphone: Microphone, tmp_path: Path, language: str
) -> None:
    secret, made = keys.make("school")
    file = tmp_path / "keys.txt"
    file.write_text(f"{made.line}\n")
    house = house_that_knows({SECOND: speech(SECOND)}, REPLIES)
    with site_of(house, keys_file=file) as site, visiting(browser, site.url, microphone, locale=language) as learner:
        learner.expected = ["401"]
        learner.open().until("noKey")
        page = learner.page
        field = page.locator("#key-field")
        field.fill("parle_wrong")
        field.press("Enter")
        learner.wait_for(page.locator("#key-wrong").is_visible, "the refusal", 10)
        field.fill(secret)
        page.locator("#key-form button").click()
        learner.until("ready")
        assert not page.locator("#key").is_visible()
        learner.ask(SECOND)
        kept = page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert "parle.token" in kept
        assert secret not in kept + page.content() + field.input_value()

        learner.open().until("ready")  # after a reload it is not asked again
        file.write_text("# nobody\n")
        learner.wait(1.5)
        learner.open().until("noKey")
