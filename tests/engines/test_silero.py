"""Silero VAD as a stream gives what the batch in faster-whisper gives, however the samples are cut."""

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from serve_app.audio import decode
from serve_app.engines.turns.silero import FRAME, silero
from serve_app.package_data import data_file


@pytest.fixture(scope="module")
def greeting() -> np.ndarray:
    return decode(data_file("greeting.ogg").read_bytes(), max_seconds=30)


@pytest.mark.parametrize("chunk", [160, 512, 777, 100_000])
def test_a_stream_of_any_chunks_equals_the_batch(greeting: np.ndarray, chunk: int) -> None:
    stream = silero().stream()
    streamed = [p for at in range(0, len(greeting), chunk) for p in stream.feed(greeting[at : at + chunk])]

    whole = greeting[: len(greeting) // FRAME * FRAME]
    batch = get_vad_model()(whole.copy()).reshape(-1)
    # The library's batch blanks the end of its last frame.
    assert streamed[:-1] == pytest.approx(batch.tolist()[:-1], abs=1e-4)
    assert max(streamed) > 0.9


def test_two_streams_do_not_hear_each_other(greeting: np.ndarray) -> None:
    alone = silero().stream().feed(greeting)
    one, other = silero().stream(), silero().stream()
    mixed: list[float] = []
    for at in range(0, len(greeting), FRAME):
        mixed += one.feed(greeting[at : at + FRAME])
        other.feed(np.zeros(FRAME, np.float32))
    assert mixed == alone
