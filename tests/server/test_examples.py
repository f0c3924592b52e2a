"""The curl line, the Python client and OpenAI's SDK, against a real server. tests/browser runs the page and Node."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.clients import samples_of
from support.examples import EXAMPLES, SAID, heard, output_of, socket_of
from support.openai_sdk import sdk
from support.servers import Server
from support.speech import Listener, Speaker, word_error_rate

from serve_app.audio import decode
from serve_app.protocols import STT_SAMPLE_RATE

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def recording(speech: Speaker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples") / "pergunta.wav"
    path.write_bytes(speech.recording(SAID))
    return path


def test_the_curl_line_prints_a_turn(small_server: Server, recording: Path) -> None:
    printed = output_of("sh", EXAMPLES / "curl.sh", recording, small_server.url)
    assert word_error_rate(SAID, heard(printed)) <= 0.15
    assert printed.count("event: audio") >= 1
    assert printed.rstrip().splitlines()[-2] == "event: complete"


def test_the_curl_line_fails_where_the_server_refuses(small_server: Server, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    assert "no_audio" in output_of("sh", EXAMPLES / "curl.sh", empty, small_server.url, code=22)


def test_the_sounds_of_the_curl_line_can_be_put_into_files(
    small_server: Server, recording: Path, tmp_path: Path
) -> None:
    """The pipe that its comment shows."""
    script = EXAMPLES / "curl.sh"
    [pipe] = re.findall(r"^# +(\| sed .+)$", script.read_text("utf-8"), re.MULTILINE)
    output_of("bash", "-c", f"cd {tmp_path} && sh {script} {recording} {small_server.url} {pipe}")
    assert abs(samples_of((tmp_path / "0.wav").read_bytes())).max() > 0.05


def test_the_python_client_prints_a_turn_and_writes_the_answer(
    small_server: Server, recording: Path, tmp_path: Path
) -> None:
    answer = tmp_path / "resposta.wav"
    printed = output_of(sys.executable, EXAMPLES / "client.py", recording, answer, socket_of(small_server.url))
    assert word_error_rate(SAID, heard(printed)) <= 0.15
    assert "'event': 'complete'" in printed
    samples = samples_of(answer.read_bytes())
    assert len(samples) > 24_000 / 2
    assert abs(samples).max() > 0.05


def test_openais_sdk_hears_answers_and_speaks(
    small_server: Server, recording: Path, tmp_path: Path, listen: Listener
) -> None:
    answer = tmp_path / "resposta.mp3"
    printed = output_of(sys.executable, EXAMPLES / "openai_sdk.py", recording, answer, small_server.url)
    said, reply, *_ = printed.splitlines()
    assert word_error_rate(SAID, said.removeprefix("heard: ")) <= 0.15
    spoken = decode(answer.read_bytes(), max_seconds=60)
    assert reply.strip()
    assert abs(spoken).max() > 0.05
    # The small tutor writes words that are none.
    assert word_error_rate(reply, listen(spoken, STT_SAMPLE_RATE).text) <= 0.5


def test_what_openais_sdk_spoke_is_heard_again_word_by_word(small_server: Server) -> None:
    client = sdk(small_server.url)
    speech = client.audio.speech.create(model="tts-1", voice="pm_alex", input=SAID, response_format="opus")
    heard = client.audio.transcriptions.create(
        model="whisper-1",
        file=("fala.ogg", speech.content),
        language="pt",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert word_error_rate(SAID, heard.text) <= 0.15
    assert heard.language == "portuguese"
    assert heard.words is not None
    assert all(0 <= word.start <= word.end <= heard.duration + 0.5 for word in heard.words)
    assert heard.segments is not None
    assert "".join(part.text for part in heard.segments).replace(" ", "") == heard.text.replace(" ", "")


def test_an_sdk_that_hangs_up_stops_the_model(small_server: Server) -> None:
    messages: Any = [
        {"role": "system", "content": "Uma história longa."},
        {"role": "user", "content": "Conte uma história."},
    ]
    before = small_server.work()["llm"]
    with sdk(small_server.url).chat.completions.create(
        model="gpt-4o", messages=messages, max_completion_tokens=500, seed=1, stream=True
    ) as chunks:
        assert [next(chunks).choices[0].delta.role for _ in range(3)] == ["assistant", None, None]
    small_server.wait_until_idle()
    done = small_server.work()["llm"]
    time.sleep(1)
    assert small_server.work()["llm"] - done <= 8  # what was under way; in a second it would write 80
    assert done - before < 250  # of the 500 tokens that were asked for
