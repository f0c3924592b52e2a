"""A server that is about to stop, as the learner at the page sees it."""

from __future__ import annotations

from playwright.sync_api import Browser
from support.site_without_ray import Site, site_of
from support.waiting import wait_for

from browser.chromium import Microphone
from browser.learner import CUT_OFF, visiting


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
        wait_for(lambda: site.activity()["sessions"] == 0, 30, "the end of the session")
        site.reopen()
        learner.until("ready")


def test_a_server_that_restarts_is_told_and_entered_again(browser: Browser, site: Site, microphone: Microphone) -> None:
    with visiting(browser, site.url, microphone) as learner:
        learner.expected.extend(CUT_OFF)
        learner.open().until("ready")
        site.stop()
        learner.until("restarting")
        assert "O servidor está reiniciando; reconectando." in learner.sees
        site.end()
        with site_of(site.house, port=site.port):
            learner.until("ready", seconds=30)  # by itself
            assert "reiniciando" not in learner.sees


def test_a_server_whose_process_dies_is_told_as_one_that_restarts(
    browser: Browser, site: Site, microphone: Microphone
) -> None:
    with visiting(browser, site.url, microphone) as learner:
        learner.expected.extend(CUT_OFF)
        learner.open().until("ready")
        site.abort()  # the socket ends without a close frame; what serves the next one is there at once
        learner.wait_for(lambda: "restarting" in learner.states, "the notice", 10)
        learner.until("ready")
