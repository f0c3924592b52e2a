"""Where the page stands on a phone: the welcome at its beginning, a conversation at its end."""

from __future__ import annotations

from playwright.sync_api import Browser
from support.site_without_ray import Site

from browser.chromium import Microphone
from browser.learner import Learner, visiting
from browser.lesson import FIRST, REPLIES, SECOND, THIRD

PHONE = {"width": 360, "height": 640}


def bottom(learner: Learner, text: str) -> float:
    """Of that text, in pixels from the top of the window."""
    box = learner.page.get_by_text(text, exact=True).bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def test_the_welcome_begins_at_its_beginning_and_the_conversation_stays_at_its_end(
    browser: Browser, site: Site, microphone: Microphone
) -> None:
    with visiting(browser, site.url, microphone, viewport=PHONE) as learner:
        learner.expected = ["ERR_CONNECTION_REFUSED", "WebSocket"]
        learner.open().until("ready")
        assert learner.page.evaluate("() => scrollY") == 0
        assert 0 < bottom(learner, "Vamos conversar?") < PHONE["height"]

        for said in (FIRST, SECOND, THIRD):
            learner.ask(said)
        learner.open().until("ready")
        learner.wait_for(lambda: bottom(learner, REPLIES[THIRD]) <= dock(learner), "the last answer, after a reload", 5)
        site.die()
        learner.until("offline")
        learner.wait_for(learner.page.locator("#notice").is_visible, "the notice", 5)
        assert bottom(learner, REPLIES[THIRD]) <= dock(learner)


def dock(learner: Learner) -> float:
    """Where the part of the page that stays at the bottom begins."""
    box = learner.page.locator("footer").bounding_box()
    assert box is not None
    return box["y"]
