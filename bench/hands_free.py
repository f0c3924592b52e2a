"""From the learner's last sound to the tutor's first, with open hands and with a whole recording sent at the end.

One server, the CPU stack, the same utterances in turn over both: a recording over SSE, whose time counts from the end
of the upload, and the same sound over the Realtime protocol at the pace of a microphone, where the server has to find
out by itself that the learner has finished. There its time counts from the end of the voice. The learner listens to
the end.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection, connect

from serve_app import audio
from serve_app.protocols import Audio

from .recordings import recordings
from .server import serving, turn

COUNT = 12
RATE = 24_000
BLOCK_S = 0.04
BEFORE_S, AFTER_S = 0.4, 3.0
"""Of quiet around an utterance: a room's noise at -66 dBFS."""
SILENT = 0.01
"""Amplitude under which the end of a recording is no voice any more."""
MODES = ("server_vad", "semantic_vad")


@dataclass(frozen=True, slots=True)
class Answered:
    """Seconds since the end of the voice, or of the upload."""

    decided_s: float
    first_audio_s: float


def microphone(recording: bytes) -> tuple[Audio, float]:
    """What a microphone hears, at 24 kHz, and when the voice ends in it, in seconds."""
    heard = audio.decode(recording, max_seconds=60)
    heard = np.interp(np.arange(0, len(heard), 16_000 / RATE), np.arange(len(heard)), heard)
    end_s = BEFORE_S + float(np.flatnonzero(np.abs(heard) > SILENT)[-1]) / RATE
    room = np.random.default_rng(1).normal(0, 5e-4, round((BEFORE_S + AFTER_S) * RATE) + len(heard))
    begin = round(BEFORE_S * RATE)
    room[begin : begin + len(heard)] += heard
    return room.astype(np.float32), end_s


def hands_free(socket: ClientConnection, recording: bytes) -> Answered:
    sound, end_s = microphone(recording)
    whole = np.clip(sound * 32767, -32768, 32767).astype("<i2")
    began = time.perf_counter()
    over = threading.Event()

    def speak() -> None:
        step = round(BLOCK_S * RATE)
        for number, at in enumerate(range(0, len(whole), step), start=1):
            block = base64.b64encode(whole[at : at + step].tobytes()).decode()
            over.wait(max(0.0, began + number * BLOCK_S - time.perf_counter()))
            socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": block}))

    speaking = threading.Thread(target=speak)
    speaking.start()
    at: dict[str, float] = {}
    answer_s = 0.0
    while "response.done" not in at:
        try:
            event = json.loads(socket.recv(60))
        except TimeoutError:
            raise RuntimeError(f"no answer; what came: {at}") from None
        if event["type"] == "error":
            raise RuntimeError(f"the server answered: {event['error']}")
        at.setdefault(event["type"], time.perf_counter() - began - end_s)
        if event["type"] == "response.output_audio.delta":
            answer_s += len(base64.b64decode(event["delta"])) / 2 / RATE
    speaking.join()
    over.wait(max(0.0, began + end_s + at["response.output_audio.delta"] + answer_s - time.perf_counter()))
    return Answered(at["input_audio_buffer.speech_stopped"], at["response.output_audio.delta"])


def detecting(socket: ClientConnection, mode: str) -> None:
    session: dict[str, Any] = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": mode}}}}
    socket.send(json.dumps({"type": "session.update", "session": session}))
    while json.loads(socket.recv(60))["type"] != "session.updated":
        pass


def measured(url: str, count: int) -> dict[str, list[Answered]]:
    found: dict[str, list[Answered]] = {name: [] for name in ("recording", *MODES)}
    address = url.replace("http", "ws", 1) + "/v1/realtime?model=parle&session_id="
    with connect(address + MODES[0], max_size=None) as fixed, connect(address + MODES[1], max_size=None) as judged:
        sockets = dict(zip(MODES, (fixed, judged), strict=True))
        for mode, socket in sockets.items():
            detecting(socket, mode)
        for recording in recordings(count):
            heard = turn(url, recording, "recording")
            found["recording"].append(Answered(0.0, heard.first_audio_s))
            for mode, socket in sockets.items():
                found[mode].append(hands_free(socket, recording))
    return found


def figures(found: dict[str, list[Answered]]) -> dict[str, float]:
    """Medians, and ratios of medians to that of the recording."""
    whole = statistics.median(one.first_audio_s for one in found["recording"])
    result = {"recording_s": whole}
    for mode in MODES:
        decided = statistics.median(one.decided_s for one in found[mode])
        first = statistics.median(one.first_audio_s for one in found[mode])
        after = statistics.median(one.first_audio_s - one.decided_s for one in found[mode])
        result |= {f"{mode}_decided_s": decided, f"{mode}_s": first, f"{mode}_after_decision_s": after}
        result |= {f"{mode}_ratio": first / whole, f"{mode}_after_decision_ratio": after / whole}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--count", type=int, default=COUNT, help="utterances (%(default)s)")
    arguments = parser.parse_args()
    with serving() as server:
        turn(server.url, recordings(1)[0], "first")  # the first turn of a server is no measure
        found = measured(server.url, arguments.count)
    result = figures(found)
    for name, value in result.items():
        print(f"{name:40} {value:.2f}")
    if arguments.save:
        single = {name: [asdict(one) for one in answers] for name, answers in found.items()}
        arguments.save.write_text(json.dumps({"figures": result, "turns": single}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
