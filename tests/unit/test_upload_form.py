"""Forms as clients other than browsers write them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from support.clients import parse, refusal
from support.known_speech import house_that_knows
from support.site_without_ray import Site, site_of
from support.speech import white_noise

from serve_app.audio import wav

USUAL = "multipart/form-data; boundary=XX"
SAID = "Bom dia."
VOICE = white_noise(1.0)
NAMED = b'; filename="a.wav"'


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_of(house_that_knows({SAID: VOICE})) as site:
        yield site


def part(disposition: bytes = NAMED, *headers: bytes, content: bytes = wav(VOICE, 16_000)) -> bytes:
    lines = [b'Content-Disposition: form-data; name="audio"' + disposition, *headers, b"", content]
    return b"--XX\r\n" + b"\r\n".join(lines) + b"\r\n"


END = b"--XX--\r\n"
LEVEL = b'--XX\r\nContent-Disposition: form-data; name="level"\r\nContent-Type: text/plain\r\n\r\nC1\r\n'
ACCEPTED = {
    "as browsers write it": (USUAL, part() + END),
    "another case": ("Multipart/Form-Data; Boundary=XX", part() + END),
    "spaces and quotes": ('multipart/form-data ;  boundary="XX"', part() + END),
    "no filename, audio": (USUAL, part(b"", b"Content-Type: audio/ogg") + LEVEL + END),
    "no filename, audio with codecs": (USUAL, LEVEL + part(b"", b"content-type: Audio/WebM;codecs=opus") + END),
    "no filename, video": (USUAL, part(b"", b"Content-Type: video/webm") + END),
    "no filename, bytes": (USUAL, part(b"", b"Content-Type: application/octet-stream") + END),
    "a preamble": (USUAL, b"This is a multi-part message.\r\n" + part() + END),
    "a preamble of lines and dashes": (USUAL, b"\r\n--\r\n--X\r\n\r\n--Y\r\n" + part() + END),
    "a long preamble": (USUAL, b"=" * 20_000 + b"\r\n" + part() + END),
    "an epilogue": (USUAL, part() + END + b"\r\nThat was all.\r\n--XX\r\nreally\r\n"),
    "both": (USUAL, b"Hello\r\n" + part(b"", b"Content-Type: audio/wav") + LEVEL + END + b"Bye"),
}


def sent(site: Site, kind: str, body: bytes, step: int | None = None) -> httpx.Response:
    steps = (body[at : at + step] for at in range(0, len(body), step)) if step else body
    return httpx.post(f"{site.url}/api/stream-audio", content=steps, headers={"content-type": kind}, timeout=30)


@pytest.mark.parametrize("name", ACCEPTED)
def test_every_form_that_the_standards_allow_is_read(site: Site, name: str) -> None:
    answer = sent(site, *ACCEPTED[name])
    assert answer.status_code == 200, answer.text
    events = list(parse(answer.iter_lines()))
    assert events[-1].data.get("transcript") == SAID
    levels = [event.data["level"] for event in events if event.name == "level"]
    assert (levels == ["C1"]) == (LEVEL in ACCEPTED[name][1])


def test_a_form_may_come_in_any_pieces(site: Site) -> None:
    kind, body = ACCEPTED["both"]
    body = body.replace(wav(VOICE, 16_000), wav(VOICE[:400], 16_000))
    site.wait_until_idle()
    for step in (1, 7):
        assert sent(site, kind, body, step).status_code == 200


def test_text_in_place_of_the_recording_is_told_what_to_do(site: Site) -> None:
    answer = sent(site, USUAL, part(b"", content=b"bom dia") + END)
    assert refusal(answer) == (400, "no_audio")
    assert "filename" in answer.json()["message"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (USUAL, b"no boundary at all"),
        (USUAL, b""),
        (USUAL, b"--XY\r\n\r\n"),
        ("multipart/form-data", part() + END),
        (f"multipart/form-data; boundary={'X' * 600}", part() + END),
        (USUAL, b"--XX\r\nContent-Type: audio/wav\r\n\r\nabc\r\n" + END),
    ],
    ids=["no-boundary", "empty", "another-boundary", "none-given", "too-long", "no-name"],
)
def test_a_broken_form_is_called_so(site: Site, kind: str, body: bytes) -> None:
    assert refusal(sent(site, kind, body)) == (400, "bad_form")


def test_a_preamble_without_end_counts_as_too_large(site: Site) -> None:
    body = np.zeros(15_200_000, np.uint8).tobytes()
    assert refusal(sent(site, USUAL, body)) == (413, "too_large")
