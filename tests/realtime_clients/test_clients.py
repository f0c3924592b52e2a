"""Four clients of OpenAI's Realtime protocol, as they are, talk with the tutor."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT
from support.site_without_ray import Site, site_of

from serve_app import audio

PYTHON = ROOT / ".venv-realtime-clients/bin/python"
SPOKEN = ROOT / "tests/data/speech/bom-dia-onde-fica-o-banheiro-por-favor-1c516d.pf_dora.pt-br.ogg"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="make test-realtime-clients builds what they need")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_of() as running:
        yield running


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At 24 kHz."""
    heard = audio.decode(SPOKEN.read_bytes(), max_seconds=30)
    at = np.arange(0, len(heard), 2 / 3)
    path = tmp_path_factory.mktemp("spoken") / "said.wav"
    path.write_bytes(audio.wav(np.interp(at, np.arange(len(heard)), heard).astype(np.float32), 24_000))
    return path


@pytest.mark.parametrize("client", ["openai", "agents", "livekit", "pipecat"])
def test_it_is_answered_typed_and_spoken(site: Site, recording: Path, client: str) -> None:
    url = f"ws://127.0.0.1:{site.port}"
    script = Path(__file__).with_name("clients.py")
    done = subprocess.run([PYTHON, script, client, url, recording], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert site.house.llm.reply_text in done.stdout
