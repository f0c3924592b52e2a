"""The curl line and the Python client of examples/, against a real server. tests/browser runs the page and Node."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from support.clients import samples_of
from support.examples import EXAMPLES, SAID, heard, output_of, socket_of
from support.servers import Server
from support.speech import Speaker, word_error_rate

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
