"""The routes that are always on, over stages without models."""

from __future__ import annotations

import numpy as np
from support.clients import ask
from support.site_without_ray import site_of
from support.waiting import wait_for

from serve_app.audio import wav

RECORDING = wav(np.full(16_000, 0.1, np.float32), 16_000)


def test_a_server_is_ready_when_every_stage_of_its_stack_is() -> None:
    with site_of(cefr=None) as site:
        answer = site.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        assert answer.json()["stages"] == dict.fromkeys(("stt", "llm", "tts"), True)
        site.house.away.add("llm")
        wait_for(lambda: site.get("/readyz").status_code == 503, 30, "a stage that is away")
        answer = site.get("/readyz")
        assert not answer.json()["ready"]
        assert answer.json()["stages"] == {"stt": True, "llm": False, "tts": True}
        assert site.get("/healthz").json() == {"status": "ok"}


def test_info_tells_what_another_stack_has() -> None:
    with site_of(routes=["sse"], cefr=None, limits={"max_audio_s": 8, "max_turns": 1}) as site:
        info = site.info()
    assert info["routes"] == ["sse"]
    assert "cefr" not in info["stages"]
    assert (info["limits"]["max_audio_s"], info["limits"]["max_turns"]) == (8, 1)


def test_a_stack_without_the_level_stage_sends_no_level() -> None:
    with site_of(cefr=None) as site:
        turn = ask(site.url, RECORDING)
    assert turn.names == [
        *("status stt", "transcript", "status llm", "delta", "response", "status tts", "audio", "complete")
    ]
