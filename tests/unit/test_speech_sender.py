"""What of the reply the listener can have heard: `serve_app.lesson.speech_sender`."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from support.lesson import SILENCE

from serve_app.config.stack import Order
from serve_app.lesson.events import Event, Spoken
from serve_app.lesson.speech_sender import SpeechSender
from serve_app.lesson.stage_protocols import Utterance
from serve_app.lesson.turn_record import TurnRecorder

TEXT = "um dois três quatro cinco seis sete oito nove dez"
RATE = 24_000


def sender(order: Order = "eager") -> SpeechSender:
    waiting: asyncio.Queue[Event | None] = asyncio.Queue()
    return SpeechSender(waiting, order, TurnRecorder(Utterance(SILENCE, "a", "t", time.perf_counter())))


def spoken(text: str, seconds: float, index: int = 0) -> Spoken:
    return Spoken(index, text, np.zeros(int(seconds * RATE), np.float32), RATE)


@pytest.mark.parametrize(("after_s", "most"), [(0.0, 2), (0.5, 3), (2.5, 7)])
async def test_a_piece_is_heard_word_by_word(monkeypatch: pytest.MonkeyPatch, after_s: float, most: int) -> None:
    of = sender()
    await of.send(spoken(TEXT, 5))
    sent = time.perf_counter()
    monkeypatch.setattr(time, "perf_counter", lambda: sent + after_s)
    heard = of.heard_text().split()
    assert heard == TEXT.split()[: len(heard)]
    assert 10 * after_s / 5 <= len(heard) <= most


async def test_a_piece_that_waits_for_the_one_before_it_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    of = sender()
    await of.send(spoken("Que legal!", 1), spoken(TEXT, 5, 1))
    sent = time.perf_counter()
    monkeypatch.setattr(time, "perf_counter", lambda: sent + 0.9)
    assert of.heard_text() == "Que legal!"
    monkeypatch.setattr(time, "perf_counter", lambda: sent + 7)
    assert of.heard_text() == f"Que legal! {TEXT}"


async def test_of_a_piece_whose_speech_is_still_being_made_no_more_is_heard_than_can_be_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = sender()
    await of.send(spoken(TEXT, 0.01))
    sent = time.perf_counter()
    monkeypatch.setattr(time, "perf_counter", lambda: sent + 0.02)
    assert 1 <= len(of.heard_text().split()) <= 2


async def test_held_speech_is_not_heard() -> None:
    of = sender("documented")
    await of.send(spoken(TEXT, 0.01))
    assert of.heard_text() == ""
    await of.release()
    assert of.heard_text()
