"""The page in Chromium against the stack that a stranger runs: one turn with its models."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from support.servers import Server
from support.speech import word_error_rate

from browser.chromium import Microphone
from browser.learner import visiting
from browser.lesson import BROTHER, answered_aloud


@pytest.mark.server
def test_a_turn_is_heard_written_and_answered_aloud(browser: Browser, server: Server, microphone: Microphone) -> None:
    with visiting(browser, server.url, microphone) as learner:
        learner.open().until("ready")
        complete = answered_aloud(learner, BROTHER)
    assert word_error_rate(BROTHER, complete["transcript"]) <= 0.2
