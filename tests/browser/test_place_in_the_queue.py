"""A full server, as the learner at the page sees it who waits for a place."""

from __future__ import annotations

from playwright.sync_api import Browser
from support.clients import talking
from support.site_without_ray import Site, site_of
from support.speech import Speaker
from support.waiting import wait_for

from browser.chromium import Microphone
from browser.learner import visiting
from browser.lesson import FIRST


def test_the_learner_sees_the_place_and_is_answered_when_it_is_their_turn(
    browser: Browser, site: Site, microphone: Microphone, speech: Speaker
) -> None:
    site.house.llm.word_s = 2.0
    with (
        site_of(site.house, limits={"max_turns": 1}) as small,
        talking(small.url) as other,
        visiting(browser, small.url, microphone) as learner,
    ):
        learner.open().until("ready")
        other.say(speech.recording(FIRST))
        wait_for(lambda: small.activity()["turns"] == 1, 30, "the other turn")
        learner.say(FIRST)
        learner.until("queued")
        site.house.llm.word_s = 0.05
        assert "1º na fila" in learner.sees
        learner.wait_for(lambda: bool(learner.events("complete")), "the answer")
        learner.until("ready")
        assert "na fila" not in learner.sees
