"""examples/browser.html, opened as a file: the shortest client there is, and it talks."""

from __future__ import annotations

from playwright.sync_api import Browser
from support.paths import ROOT
from support.site_without_ray import Site

from browser.chromium import Microphone
from browser.learner import Learner
from browser.lesson import SECOND


def test_the_page_has_the_lines_of_the_wire() -> None:
    page = (ROOT / "examples/browser.html").read_text("utf-8")
    for line in (
        "ws.send(audioBlob);",
        "ws.onmessage = (event) => {",
        "if (event.data instanceof Blob) playAudioChunk(event.data);",
    ):
        assert line in page
        assert line in (ROOT / "docs/wire.md").read_text("utf-8")


def test_the_example_page_talks(browser: Browser, site: Site, microphone: Microphone) -> None:
    context = browser.new_context()
    learner = Learner(context, site.url, microphone)
    seconds = microphone.says(SECOND)
    learner.page.goto(f"{(ROOT / 'examples/browser.html').as_uri()}?server={site.url.removeprefix('http://')}")
    learner.page.get_by_role("button", name="Record", exact=True).hover()
    learner.wait_for(learner.page.get_by_role("button").is_enabled, "the connection")
    learner.page.mouse.down()
    learner.page.get_by_role("button", name="Recording").wait_for()
    learner.wait(seconds)
    learner.page.mouse.up()
    learner.wait_for(lambda: bool(learner.events("complete")), "the answer")
    complete = learner.events("complete")[0]
    assert complete["transcript"] == SECOND
    assert learner.sees_line(complete["response"])
    learner.wait_for(lambda: learner.hears_something, "the voice")
    assert learner.loudest > 0.05
    assert not [error for error in learner.errors if "file:" not in error]
    context.close()
