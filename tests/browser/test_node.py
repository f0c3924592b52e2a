"""What runs in Node, the one that Playwright brings: the example client, and the page's parts that need no browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable
from support.clients import samples_of
from support.examples import EXAMPLES, SAID, heard, output_of, socket_of
from support.paths import ROOT
from support.servers import free_port
from support.site_without_ray import Site
from support.speech import Speaker

NODE = compute_driver_executable()[0]
CLIENT = EXAMPLES / "node_client.mjs"


@pytest.fixture(scope="module")
def recording(speech: Speaker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("node") / "pergunta.wav"
    path.write_bytes(speech.recording(SAID))
    return path


def test_the_parts_of_the_page_that_need_no_browser() -> None:
    output_of(NODE, "--test", *sorted((ROOT / "tests/web").glob("*.test.mjs")))


def test_the_node_client_prints_a_turn_and_writes_the_pieces(site: Site, recording: Path, tmp_path: Path) -> None:
    printed = output_of(NODE, CLIENT, recording, tmp_path, socket_of(site.url))
    assert heard(printed) == SAID
    assert "event: 'complete'" in printed
    assert abs(samples_of((tmp_path / "0.wav").read_bytes())).max() > 0.05


def test_the_node_client_says_when_there_is_no_server(recording: Path, tmp_path: Path) -> None:
    printed = output_of(NODE, CLIENT, recording, tmp_path, f"ws://127.0.0.1:{free_port()}", code=1)
    assert "no server answers" in printed
