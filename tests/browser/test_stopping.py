"""A server that is about to stop, as the learner at the page sees it."""

from __future__ import annotations

from playwright.sync_api import Browser
from support.site_without_ray import Site
from support.waiting import wait_for

from browser.chromium import Microphone
from browser.learner import visiting


def test_the_learner_is_told_and_one_press_keeps_the_server(
    browser: Browser, site: Site, microphone: Microphone
) -> None:
    with visiting(browser, site.url, microphone) as learner:
        learner.open().until("ready")
        site.warn(60)
        learner.wait_for(lambda: "O servidor vai desligar daqui a pouco." in learner.sees, "the notice", 10)
        learner.page.get_by_role("button", name="Ainda estou aqui").click()
        learner.wait_for(lambda: "vai desligar" not in learner.sees, "the end of the notice", 10)
        assert site.activity()["stopping_in_s"] is None
        assert not site.close()


def test_a_forgotten_tab_is_dismissed_and_comes_back_when_the_server_stays(
    browser: Browser, site: Site, microphone: Microphone
) -> None:
    with visiting(browser, site.url, microphone) as learner:
        learner.open().until("ready")
        site.warn(60)
        learner.wait_for(lambda: "vai desligar" in learner.sees, "the notice", 10)
        assert site.close()
        learner.wait_for(lambda: "A conexão com o servidor caiu." in learner.sees, "the notice of the loss", 10)
        wait_for(lambda: site.activity()["sessions"] == 0, 10, "the end of the session")
        site.reopen()
        learner.until("ready")
