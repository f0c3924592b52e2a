"""The page in its five languages: what it says fits on small phones, and explains what is Portuguese."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support.site_without_ray import Site

from browser.chromium import Microphone
from browser.learner import visiting
from browser.lesson import MISTAKE
from browser.test_client import PHONE, SMALLEST, fits, serious, settings, shoot

LOCALES = {"pt": "pt-BR", "en": "en-GB", "es": "es-MX", "fr": "fr-CA", "de": "de-AT"}
FLASHED = ("tooShort", "cutOff", "unplayable", "soundGone", "soundNotKept", "notDeleted", "forgotten", "notReady")

STICKING_OUT = """async (flashed) => {
  const module = (name) => import(new URL(`web/${name}.js`, document.baseURI));
  const [{ TEXTS, current }, { Notices }, { Dock }] = await Promise.all(['i18n', 'notices', 'dock'].map(module));
  const notices = new Notices(() => {}, () => {});
  const dock = new Dock();
  const found = [];
  const look = (key) => {
    const parts = [...document.querySelectorAll('footer *')].filter((node) => !node.closest('#talk'));
    const out = parts.filter((node) => {
      const { left, right } = node.getBoundingClientRect();
      return left < 0 || right > innerWidth || (node.clientWidth && node.scrollWidth > node.clientWidth);
    });
    if (out.length) found.push(`${key}: ${out[0].outerHTML.slice(0, 120)}`);
    const talk = document.getElementById('talk').getBoundingClientRect();
    if (talk.top < 0 || talk.bottom > innerHeight) found.push(`${key}: the button to talk`);
    if (Math.abs(talk.left + talk.right - innerWidth) > 4) found.push(`${key}: the button is not in the middle`);
  };
  const keys = (prefix) => Object.keys(TEXTS[current()]).filter((key) => key.startsWith(prefix));
  for (const state of keys('state.')) {
    for (const busy of [false, true]) dock.draw(state.replace('state.', ''), busy, 12), look(state);
  }
  for (const key of flashed) dock.say(key), look(key);
  for (const key of keys('notice.').filter((name) => !name.endsWith('What'))) {
    notices.microphone(key.replace('notice.', ''));
    look(key);
  }
  notices.microphone(null);
  return found;
}"""
"""What the dock and the notices may say, and what of it has no room."""


@pytest.mark.parametrize("language", LOCALES)
def test_all_that_the_page_says_fits_on_a_small_phone(
    browser: Browser, site: Site, microphone: Microphone, screenshots: Path, language: str
) -> None:
    phone: dict[str, Any] = {**PHONE, "locale": LOCALES[language]}
    with visiting(browser, site.url, microphone, **phone) as learner:
        learner.open().until("ready")
        page = learner.page
        assert page.locator("html").get_attribute("lang") == {"pt": "pt-BR"}.get(language, language)
        assert page.locator(".examples small").first.is_visible() is (language != "pt")
        shoot(learner, screenshots / f"welcome-{language}.png")
        for size in SMALLEST:
            page.set_viewport_size(size)
            assert page.evaluate(STICKING_OUT, FLASHED) == []
            assert fits(learner)
        settings(learner)
        assert page.locator("#language").input_value() == language
        shoot(learner, screenshots / f"settings-{language}.png")


def test_a_correction_is_explained_in_the_language_of_the_page(
    browser: Browser, site: Site, microphone: Microphone, screenshots: Path
) -> None:
    with visiting(browser, site.url, microphone, **{**PHONE, "locale": "de-DE"}) as learner:
        learner.open().until("ready")
        learner.ask(MISTAKE)
        message, why = learner.page.locator(".correction .message").all()
        assert message.get_attribute("lang") == "pt-BR"
        assert "“estou”" in message.inner_text()
        assert why.inner_text().startswith("Das Verb richtet sich nach der Person")
        assert fits(learner)
        assert not serious(learner)
        shoot(learner, screenshots / "correction-de.png")
        settings(learner)
        learner.page.locator("#language").select_option("pt")
        assert learner.page.locator(".correction .message").count() == 1
