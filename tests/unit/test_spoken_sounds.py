"""What Kokoro is given for a text: espeak's phonemes, without the names of signs."""

from __future__ import annotations

import json
import re

import pytest
from kokoro_onnx.tokenizer import Tokenizer
from support.paths import ROOT

from serve_app.engines.tts.espeak import phonemes
from serve_app.spoken_text.normalise import spoken
from serve_app.spoken_text.words import Variety

CASES: dict[Variety, dict[str, str]] = json.loads((ROOT / "tests/data/spoken_text.json").read_text("utf-8"))
ONCE_WRONG = json.loads((ROOT / "tests/data/texts_once_spoken_wrong.json").read_text("utf-8"))
LANGUAGES: dict[Variety, str] = {"pt-br": "pt-br", "pt-pt": "pt"}
SIGNS = "$*@⭐→ºª§©"
LETTERS = ("agudo", "circunflexo", "grave")
"""What espeak adds to the name of an accented letter that stands alone."""


@pytest.fixture(scope="module", autouse=True)
def espeak() -> Tokenizer:
    """The library finds espeak's files when a tokenizer is made."""
    return Tokenizer()


def sounds(text: str, language: str = "pt-br") -> str:
    """Without stress, marks and the ends of words, which run together."""
    return re.sub(r"[^\w ]|[ˈˌː]", "", phonemes(text, language)).strip()


@pytest.mark.parametrize("variety", CASES)
def test_no_sign_or_accent_is_spoken_by_its_name(variety: Variety) -> None:
    language = LANGUAGES[variety]
    names = {name: sound for name in (*SIGNS, *LETTERS) if (sound := sounds(name, language))}
    assert names.keys() > {"@", "$", "⭐", "agudo"}
    for written, said in CASES[variety].items():
        heard = sounds(spoken(written, variety), language)
        named = {name for name, sound in names.items() if sound in heard}
        assert named == ({"@"} if "arroba" in said else set()), written


@pytest.mark.parametrize("case", ONCE_WRONG, ids=lambda case: case["text"])
def test_a_text_sounds_like_its_spelt_out_form(case: dict[str, str]) -> None:
    assert phonemes(spoken(case["text"]), "pt-br") == phonemes(case["right"], "pt-br")


@pytest.mark.parametrize(
    ("text", "sound"),
    {
        "É, sim.": "ˈɛ, sˈiŋ.",
        "Ah, é?": "ˈa, ˈɛ?",
        "Pois é, eu vou.": "pˈoɪz ɛ, eʊ vˈow.",
        "Michael e eu": "mˈIkəl i ˈeʊ",  # English, without a flag before and after it
        "De dia e de tia": "ʤy ʤˈiæ i ʤy ʧˈiæ",  # one letter for a double sound
    }.items(),
)
def test_the_sounds_are_those_that_kokoro_learned(text: str, sound: str) -> None:
    assert phonemes(text, "pt-br") == sound
    assert set(sound) <= set(Tokenizer().vocab)


def test_a_word_read_in_english_carries_no_flag() -> None:
    for variety, cases in CASES.items():
        for said in cases.values():
            assert not re.search(r"\((?:en|pt)", phonemes(said, LANGUAGES[variety])), said
