"""A person at the page: what they press, what they see and hear, and what goes over the wire meanwhile."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, WebSocket

from browser.chromium import Microphone

DESKTOP = {"width": 1280, "height": 800}
CUT_OFF = (
    "ERR_CONNECTION",
    "ERR_EMPTY_RESPONSE",
    "ERR_SOCKET",
    "WebSocket connection to",
    "status of 404",
    "status of 50",
)
"""What Chromium itself writes on the console of a page whose server is away or still starting."""

TALK = re.compile(
    "^(Falar|Enviar o que falei|Talk|Send what I said|Hablar|Enviar lo que dije|Parler|Envoyer ce que j’ai dit"
    "|Sprechen|Senden, was ich gesagt habe)$"
)

PATIENCE_S = 90.0
POLL_S = 0.05
AUDIBLE = 0.02
"""Full scale is 1; speech peaks above this, the fade of a stopped voice ends far below."""

# Runs before the page's own scripts. What reaches the loudspeaker is measured at the last node before it, and a
# breach of the Content-Security-Policy is an error of the console, in every browser in the same words.
WATCH = """
(() => {
  addEventListener('securitypolicyviolation', (event) =>
    console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));

  globalThis.heard = { peak: 0, now: 0, states: [], pieces: [], files: [] };
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (at, ...rest) {
    heard.pieces.push({ asked: this.context.currentTime, at, ends: at + this.buffer.duration });
    return start.call(this, at, ...rest);
  };
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    const file = { rate: 0, pitch: this.preservesPitch, lasted: 0 };
    let began = 0;
    heard.files.push(file);
    const once = { once: true };
    this.addEventListener('playing', () => { file.rate = this.playbackRate; began = performance.now(); }, once);
    this.addEventListener('ended', () => { file.lasted = (performance.now() - began) / 1000; }, once);
    return play.call(this);
  };
  const meters = [];
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const meter = new AnalyserNode(this.context, { fftSize: 2048 });
      const samples = new Float32Array(meter.fftSize);
      connect.call(this, meter);
      meters.push(() => {
        meter.getFloatTimeDomainData(samples);
        return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
      });
    }
    return connect.call(this, target, ...rest);
  };
  setInterval(() => {
    heard.now = Math.max(0, ...meters.map((peak) => peak()));
    heard.peak = Math.max(heard.peak, heard.now);
    const state = window.parle?.state;
    if (state !== heard.states.at(-1)) heard.states.push(state);
  }, 20);
})();
"""


class Learner:
    """One page, open and watched. `errors` must be empty in the end, but for what `expected` names."""

    def __init__(self, context: BrowserContext, url: str, microphone: Microphone) -> None:
        self.errors: list[str] = []
        self.expected: list[str] = []
        self.wire: list[dict[str, Any]] = []
        self.pieces = 0
        """Binary messages that came over the wire."""
        self._url = url
        self._microphone = microphone
        context.add_init_script(WATCH)
        self.page: Page = context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("websocket", self._on_websocket)

    # --- what they do ---

    def open(self, query: str = "") -> Learner:
        self.page.goto(f"{self._url}/{query}")
        return self

    def say(self, text: str) -> None:
        """Hold the button while speaking, and let go."""
        seconds = self._microphone.says(text)
        self.press_down()
        self.until("listening")
        self.wait(seconds)
        self.page.mouse.up()

    def press_down(self) -> None:
        box = self.talk_button.bounding_box()
        assert box is not None, "the button to talk is not to be seen"
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.page.mouse.down()

    def ask(self, text: str) -> dict[str, Any]:
        """Say it and hear the answer to its end; the event `complete`."""
        done = len(self.events("complete"))
        self.say(text)
        self.wait_for(lambda: len(self.events("complete")) > done, f"the answer to {text!r}")
        self.until("ready")
        return self.events("complete")[-1]

    def wait(self, seconds: float) -> None:
        self.page.wait_for_timeout(seconds * 1000)

    # --- what they see and hear ---

    @property
    def talk_button(self) -> Locator:
        """One button: it begins, and it sends. On a page in any language."""
        return self.page.get_by_role("button", name=TALK)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def state(self) -> str | None:
        return self.page.evaluate("() => window.parle?.state ?? null")

    @property
    def states(self) -> list[str]:
        """All states so far since the page was loaded, in order."""
        return self.page.evaluate("() => heard.states.filter(Boolean)")

    def forget_states(self) -> None:
        self.page.evaluate("() => { heard.states = []; }")

    @property
    def samples_played(self) -> int:
        """Audible samples given to the audio graph, as the page counts them."""
        return self.page.evaluate("() => window.parle.samplesPlayed")

    @property
    def loudest(self) -> float:
        """The highest peak that reached the loudspeaker since the page was loaded."""
        return self.page.evaluate("() => heard.peak")

    @property
    def scheduled(self) -> list[dict[str, float]]:
        """The pieces of sound, on the audio clock in seconds: when one was asked for, when it begins, when it ends."""
        return self.page.evaluate("() => heard.pieces")

    @property
    def files_played(self) -> list[dict[str, Any]]:
        """Files that media elements played: `rate`, whether `pitch` is kept, how long each `lasted` in seconds."""
        return self.page.evaluate("() => heard.files")

    @property
    def hears_something(self) -> bool:
        return self.page.evaluate("() => heard.now") > AUDIBLE

    @property
    def sees(self) -> str:
        """All the text of the page that is to be seen."""
        return " ".join(self.page.locator("body").inner_text().split())

    def sees_line(self, text: str) -> bool:
        """Whether that line of the conversation, as the wire brought it, is on the page."""
        return " ".join(text.split()) in self.sees

    def until(self, *states: str, seconds: float = PATIENCE_S) -> None:
        self.wait_for(lambda: self.state in states, f"the state {' or '.join(states)}", seconds)

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
        """Until it holds. Playwright's own clock is used: only while it waits do events come in."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"waited {seconds} s for {what}; state {self.state}, states {self.states}, "
                f"wire {[event['event'] for event in self.wire]}, errors {self.errors}, page: {self.sees[-400:]}"
            )
            self.wait(POLL_S)

    # --- what goes over the wire ---

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.wire if event["event"] == name]

    def unexpected(self) -> list[str]:
        return [error for error in self.errors if not any(part in error for part in self.expected)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self._url).netloc and not request.url.startswith(
            ("data:", "blob:")
        ):
            self.errors.append(f"asks another host: {request.url}")

    def _on_websocket(self, socket: WebSocket) -> None:
        if urlsplit(socket.url).netloc != urlsplit(self._url).netloc:
            self.errors.append(f"connects to another host: {socket.url}")
        socket.on("framereceived", self._on_frame)

    def _on_frame(self, payload: str | bytes) -> None:
        if isinstance(payload, bytes):
            self.pieces += 1
        else:
            self.wire.append(json.loads(payload))


@contextmanager
def visiting(browser: Browser, url: str, microphone: Microphone, **options: Any) -> Iterator[Learner]:
    """A page in a profile of its own; in the end nothing may have gone wrong that was not expected."""
    context = browser.new_context(**{"locale": "pt-BR", "viewport": DESKTOP, **options})
    try:
        learner = Learner(context, url, microphone)
        yield learner
        assert not learner.unexpected()
    finally:
        context.close()
