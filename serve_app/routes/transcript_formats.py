"""A transcript in the formats of OpenAI's API: JSON with times, SubRip and WebVTT."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from serve_app.package_data import data_file
from serve_app.protocols import Transcript, Word

SEGMENT_S = 7.0
SEGMENT_CHARACTERS = 84
"""Longest segment: two lines of a subtitle, and as long as one may stand."""
_SENTENCE_ENDS = (".", "!", "?", "…")


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence, or a part of a long one."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return joined(self.words)

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return self.words[-1].end


def segments(words: Sequence[Word]) -> list[Segment]:
    """The words in sentences; a long one is parted before the word that would be too much."""
    found: list[Segment] = []
    open_words: list[Word] = []
    for word in words:
        if open_words and (
            word.end - open_words[0].start > SEGMENT_S or len(joined([*open_words, word])) > SEGMENT_CHARACTERS
        ):
            found.append(Segment(tuple(open_words)))
            open_words = []
        open_words.append(word)
        if word.text.rstrip("\"'”’)]»").endswith(_SENTENCE_ENDS):
            found.append(Segment(tuple(open_words)))
            open_words = []
    return [*found, Segment(tuple(open_words))] if open_words else found


def joined(words: Sequence[Word]) -> str:
    """The words as running text. Whisper parts "guarda-chuva" before the hyphen."""
    text = ""
    for word in words:
        text += word.text if not text or word.text.startswith("-") else f" {word.text}"
    return text


@cache
def languages() -> dict[str, str]:
    """Whisper's languages: the ISO 639-1 code and the English name of each."""
    return json.loads(data_file("whisper_languages.json").read_text("utf-8"))


def verbose(heard: Transcript, duration_s: float, granularities: Sequence[str]) -> dict[str, Any]:
    """The body of `verbose_json`."""
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": languages().get(heard.language or "", heard.language or ""),
        "duration": round(duration_s, 3),
        "text": heard.text,
    }
    if "word" in granularities:
        body["words"] = [{"word": word.text, "start": word.start, "end": word.end} for word in heard.words]
    if "segment" in granularities:
        body["segments"] = [_segment(number, one) for number, one in enumerate(segments(heard.words))]
    return {**body, "usage": usage(duration_s)}


def usage(duration_s: float) -> dict[str, Any]:
    """What the request cost, as a model counts it that is billed by duration."""
    return {"type": "duration", "seconds": math.ceil(duration_s)}


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """`tokens`, `seek` and `no_speech_prob` are not kept; segments without speech are dropped before."""
    text = segment.text
    data = text.encode()
    logprobs = [math.log(max(word.probability, 1e-6)) for word in segment.words]
    return {
        "id": number,
        "seek": 0,
        "start": segment.start,
        "end": segment.end,
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(sum(logprobs) / len(logprobs), 4),
        "compression_ratio": round(len(data) / len(zlib.compress(data)), 4),
        "no_speech_prob": 0.0,
    }


def srt(heard: Transcript) -> str:
    """SubRip."""
    cues = (
        f"{number}\n{_clock(one.start, ',')} --> {_clock(one.end, ',')}\n{one.text}\n"
        for number, one in enumerate(segments(heard.words), start=1)
    )
    return "\n".join(cues)


def vtt(heard: Transcript) -> str:
    """WebVTT. What would be read as a tag is written as an entity."""
    cues = (
        f"{_clock(one.start, '.')} --> {_clock(one.end, '.')}\n{_plain(one.text)}\n" for one in segments(heard.words)
    )
    return "\n".join(["WEBVTT\n", *cues])


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{milliseconds:03}"
