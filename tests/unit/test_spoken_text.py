"""Text as it is said aloud: `serve_app.spoken_text`."""

from __future__ import annotations

import json

import pytest
from support.paths import ROOT

from serve_app.spoken_text.normalise import spoken
from serve_app.spoken_text.words import Variety

CASES: dict[Variety, dict[str, str]] = json.loads((ROOT / "tests/data/spoken_text.json").read_text("utf-8"))
PAIRS = [(variety, written, said) for variety, cases in CASES.items() for written, said in cases.items()]


@pytest.mark.parametrize(("variety", "written", "said"), PAIRS)
def test_it_is_said_as_somebody_from_there_would_say_it(variety: Variety, written: str, said: str) -> None:
    assert spoken(written, variety) == said


@pytest.mark.parametrize(("variety", "written"), [(variety, written) for variety, written, _ in PAIRS])
def test_nothing_is_left_that_a_voice_spells_or_names(variety: Variety, written: str) -> None:
    assert not set(spoken(written, variety)) & set('"“”%$€@&+=*_#→⭐°ºª²/×0123456789')
    assert spoken(spoken(written, variety), variety) == spoken(written, variety)
