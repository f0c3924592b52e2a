"""A wrong `user_config` never ends what serves: `serve_app.replicas.live_settings`, the one way for all deployments."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from serve_app.config.user_config import SETTINGS, TtsSettings
from serve_app.errors import InvalidField, ParleError, StackError
from serve_app.replicas.live_settings import LiveSettings

CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "SpeechToText": ({"language": "pt"}, {"langage": "pt"}, "unknown key 'langage'; did you mean 'language'?"),
    "CefrClassifier": ({"utterances": 3}, {"utterances": 0}, "utterances: Input should be greater than or equal to 1"),
    "TutorLLM": (
        {"sampling": {"temperature": 0.1}},
        {"sampling": {"temprature": 0.1}},
        "sampling: unknown key 'temprature'; did you mean 'temperature'?",
    ),
    "TextToSpeech": ({"speed": 0.9}, {"speed": 9}, "speed: Input should be less than or equal to 2"),
    "Ingress": (
        {"limits": {"max_turns": 3}},
        {"limits": {"max_turns": 0}},
        "limits: max_turns: Input should be greater than or equal to 1",
    ),
}
"""For each deployment a right user_config, a wrong one, and what is said of it."""


def test_the_table_has_every_deployment() -> None:
    assert set(CHANGES) == set(SETTINGS)


@pytest.mark.parametrize("deployment", CHANGES)
async def test_the_old_settings_stay_and_it_is_said_why(deployment: str, caplog: pytest.LogCaptureFixture) -> None:
    right, wrong, why = CHANGES[deployment]
    live = LiveSettings(deployment, SETTINGS[deployment])
    await live.change(right)
    before = live.now
    with caplog.at_level(logging.ERROR, "ray.serve"):
        await live.change(wrong)
    assert live.now == before == SETTINGS[deployment].model_validate(right)
    assert live.refused is not None
    assert why in live.refused
    assert "\n" not in live.refused
    assert f"{deployment} keeps its old settings. {live.refused}" in caplog.messages
    await live.change({})
    assert (live.now, live.refused) == (SETTINGS[deployment](), None)


@pytest.mark.parametrize("deployment", CHANGES)
async def test_a_start_with_a_wrong_user_config_fails(deployment: str) -> None:
    with pytest.raises(StackError, match="user_config: "):
        await LiveSettings(deployment, SETTINGS[deployment]).change(CHANGES[deployment][1])


class Memory(dict[str, dict[str, Any]]):
    """Of one cluster."""

    def load(self, deployment: str) -> dict[str, Any] | None:
        return self.get(deployment)

    def save(self, deployment: str, user_config: dict[str, Any]) -> None:
        self[deployment] = user_config


@pytest.mark.parametrize("deployment", CHANGES)
async def test_a_replica_that_starts_with_a_wrong_user_config_keeps_what_the_others_have(deployment: str) -> None:
    right, wrong, why = CHANGES[deployment]
    memory = Memory()
    await LiveSettings(deployment, SETTINGS[deployment], memory=memory).change(right)
    later = LiveSettings(deployment, SETTINGS[deployment], memory=memory)
    await later.change(wrong)
    assert later.now == SETTINGS[deployment].model_validate(right)
    assert why in str(later.refused)
    assert memory == {deployment: right}


async def test_old_settings_that_do_not_fit_are_no_help() -> None:
    memory = Memory(TextToSpeech={"pitch": 3})
    with pytest.raises(StackError, match="unknown key 'vioce'"):
        await LiveSettings("TextToSpeech", TtsSettings, memory=memory).change({"vioce": "pf_dora"})


@pytest.mark.parametrize("error", [InvalidField("There is no voice 'robot' here."), TypeError("a fault of ours")])
async def test_settings_that_cannot_be_applied_are_refused_as_well(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def apply(wanted: TtsSettings) -> None:
        if wanted.voice == "robot":
            raise error

    live = LiveSettings("TextToSpeech", TtsSettings, apply)
    await live.change({"voice": "pf_dora"})
    with caplog.at_level(logging.ERROR, "ray.serve"):
        await live.change({"voice": "robot"})
    assert live.now.voice == "pf_dora"
    assert live.refused is not None
    said = error.message if isinstance(error, ParleError) else "TypeError"
    assert said in live.refused
    assert caplog.messages[-1] == f"TextToSpeech keeps its old settings. {live.refused}"
    assert ("a fault of ours" in caplog.text) is isinstance(error, TypeError)  # with its traceback
