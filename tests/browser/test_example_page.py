"""examples/browser.html, opened as a file: the shortest client there is, and it talks."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser
from support.paths import ROOT
from support.servers import Server
from support.speech import word_error_rate

from browser.chromium import Microphone
from browser.learner import Learner

pytestmark = pytest.mark.server

SAID = "Ontem eu fui ao mercado e comprei frutas e leite."


def test_the_page_has_the_lines_of_the_wire() -> None:
    page = (ROOT / "examples/browser.html").read_text("utf-8")
    for line in (
        "ws.send(audioBlob);",
        "ws.onmessage = (event) => {",
        "if (event.data instanceof Blob) playAudioChunk(event.data);",
    ):
        assert line in page
        assert line in (ROOT / "docs/wire.md").read_text("utf-8")


def test_the_example_page_talks(browser: Browser, server: Server, microphone: Microphone) -> None:
    context = browser.new_context()
    learner = Learner(context, server.url, microphone)
    seconds = microphone.says(SAID)
    learner.page.goto(f"{(ROOT / 'examples/browser.html').as_uri()}?server={server.url.removeprefix('http://')}")
    learner.page.get_by_role("button", name="Record", exact=True).hover()
    learner.wait_for(learner.page.get_by_role("button").is_enabled, "the connection")
    learner.page.mouse.down()
    learner.page.get_by_role("button", name="Recording").wait_for()
    learner.wait(seconds)
    learner.page.mouse.up()
    learner.wait_for(lambda: bool(learner.events("complete")), "the answer")
    complete = learner.events("complete")[0]
    assert word_error_rate(SAID, complete["transcript"]) <= 0.2
    assert learner.sees_line(complete["response"])
    learner.wait_for(lambda: learner.hears_something, "the voice")
    assert learner.loudest > 0.05
    assert not [error for error in learner.errors if "file:" not in error]
    context.close()
