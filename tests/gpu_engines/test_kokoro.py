"""Kokoro on PyTorch, beyond what every TextToSpeech engine must do (tests/engines/test_tts_contract.py)."""

from __future__ import annotations

import asyncio
import itertools
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gpu_engines import tiny_kokoro
from gpu_engines.offline import offline
from kokoro_onnx.tokenizer import Tokenizer
from support.speech import VOICE_NAMES, voice_files

from serve_app.engines.tts.kokoro import REPOSITORY, WEIGHTS, KokoroTorch, KPipeline
from serve_app.engines.tts.kokoro_voices import MAX_CHARACTERS, load_style
from serve_app.engines.unused_imports import stand_ins
from serve_app.errors import StackError
from serve_app.protocols import Audio
from serve_app.sentences import split_long

TEXTS = (
    "Que bom! Você foi à praia com seus amigos. E como estava o mar?",
    "Ontem fui à feira e comprei pão, leite e dezoito maçãs.",
    "Tia Adriana disse que o livro (novo) custa caro — às vezes.",
    "Um dia de time, tchau, avião. Rei, seis, moço, outro, boi, noite, pai, mau.",
)
TOO_LONG = [("esta é uma frase muito comprida e sem nenhuma pontuação", 27), ("1999 e", 42)]
"""What is said over and over, and how often: 1,500 characters without a mark; 290 with 1,400 phonemes."""

TIED = {
    "I": "aɪ",
    "W": "aʊ",
    "A": "eɪ",
    "O": "oʊ",
    "Q": "əʊ",
    "Y": "ɔɪ",
    "ʣ": "dz",
    "ʤ": "dʒ",
    "ʦ": "ts",
    "ʧ": "tʃ",
    "S": "ss",
}
"""Sounds that misaki writes with one sign and espeak with two."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_kokoro.make(tmp_path_factory.mktemp("kokoro") / "small", voices=("pm_other", "af_heart"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> KokoroTorch:
    with offline():
        return KokoroTorch(folder, voices=voice_files(), device="cpu")


@pytest.fixture(scope="module")
def library() -> KPipeline:
    return KPipeline(lang_code="p", repo_id=REPOSITORY, model=False)


async def speak(engine: KokoroTorch, text: str, voice: str = "pf_dora") -> list[Audio]:
    torch.manual_seed(0)  # the model's breath is noise
    return [part async for part in engine.synthesize(text, voice=voice, speed=1.0)]


async def test_a_part_sounds_as_the_library_makes_it(engine: KokoroTorch, library: KPipeline) -> None:
    [ours] = await speak(engine, TEXTS[1], "pm_alex")
    torch.manual_seed(0)
    voice = torch.from_numpy(load_style(voice_files()["pm_alex"]))
    [theirs] = [result.audio for result in library(TEXTS[1], voice=voice, model=engine._model)]  # pyright: ignore[reportArgumentType]
    assert theirs is not None
    expected = theirs.numpy().clip(-1, 1)
    at = next(i for i in range(len(expected)) if np.allclose(expected[i : i + 50], ours[:50], atol=1e-5))
    np.testing.assert_allclose(expected[at : at + len(ours)], ours, atol=1e-5)
    assert len(ours) > 0.7 * len(expected)


@pytest.mark.parametrize(("unit", "times"), TOO_LONG, ids=["no marks", "numbers"])
async def test_what_is_too_long_for_the_model_is_spoken_whole(
    engine: KokoroTorch, library: KPipeline, unit: str, times: int
) -> None:
    text = " ".join([unit] * times)
    three = sum(map(len, await speak(engine, " ".join([unit] * 3))))
    assert sum(map(len, await speak(engine, text))) == pytest.approx(three * times / 3, rel=0.1)
    cut = "".join(result.phonemes for result in library(text))
    assert len(cut) <= 510 < times * len(library.g2p(unit)[0]) / 2  # or the library has learned to do without us


@pytest.mark.parametrize(("unit", "times"), TOO_LONG, ids=["no marks", "numbers"])
async def test_parts_fit_the_model_and_hold_all_phonemes(
    engine: KokoroTorch, library: KPipeline, unit: str, times: int
) -> None:
    # Counted by the unit: espeak, too, drops what is over some 1,000 phonemes.
    expected = times * len(library.g2p(unit)[0])
    parts = [
        phonemes for part in split_long(" ".join([unit] * times), MAX_CHARACTERS) for phonemes in engine._phonemes(part)
    ]
    assert all(0 < len(part) <= 510 for part in parts)
    assert sum(len(part) + 1 for part in parts) == pytest.approx(expected + times, rel=0.05)


def test_phonemes_are_those_of_kokoro_onnx_but_for_signs_of_tied_sounds(library: KPipeline) -> None:
    onnx = Tokenizer()
    for text in TEXTS:
        ours = "".join(TIED.get(sign, sign) for sign in library.g2p(text)[0])
        assert ours == onnx.phonemize(text, "pt-br")


async def test_voices_are_those_given_and_the_folders_of_that_language(engine: KokoroTorch, folder: Path) -> None:
    assert list(engine.voices) == [*VOICE_NAMES, "pm_other"]
    with offline():
        sounds = [np.concatenate(await speak(engine, "Oi, tudo bem?", voice)) for voice in engine.voices]
    for i, one in enumerate(sounds):
        assert all(len(one) != len(other) or not np.allclose(one, other, atol=1e-3) for other in sounds[:i])


async def test_a_voice_is_the_same_from_both_kinds_of_file(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", WEIGHTS):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "voices").mkdir()
    torch.save(torch.from_numpy(load_style(voice_files()["pf_dora"])), tmp_path / "voices" / "pf_copy.pt")
    engine = KokoroTorch(tmp_path, voices=voice_files(), device="cpu")
    one, other = [np.concatenate(await speak(engine, "Oi!", voice)) for voice in ("pf_dora", "pf_copy")]
    np.testing.assert_array_equal(one, other)


def test_a_wrong_folder_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    def refused(reason: str) -> None:
        with pytest.raises(StackError, match=reason) as error:
            KokoroTorch(tmp_path, voices=voice_files(), device="cpu")
        assert "\n" not in str(error.value)

    refused(f"no {WEIGHTS}")
    weights = torch.load(folder / WEIGHTS, weights_only=True)
    torch.save(weights, tmp_path / "any.pth")
    refused("no config.json")
    (tmp_path / "config.json").symlink_to(folder / "config.json")
    KokoroTorch(tmp_path, voices=voice_files(), device="cpu")  # any single .pth will do
    torch.save(weights, tmp_path / "another.pth")
    refused(f"no {WEIGHTS}")
    (tmp_path / "another.pth").unlink()
    torch.save({name: part for name, part in weights.items() if name != "decoder"}, tmp_path / "any.pth")
    refused("no weights 'decoder'")
    torch.save({"model": weights["bert"]}, tmp_path / "any.pth")
    refused("not Kokoro")
    (tmp_path / "any.pth").write_text("version https://git-lfs")
    refused("not Kokoro")


def test_a_wrong_voice_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", WEIGHTS):
        (tmp_path / name).symlink_to(folder / name)
    with pytest.raises(StackError, match="no voice"):
        KokoroTorch(tmp_path, voices={}, device="cpu")
    (tmp_path / "voices").mkdir()
    torch.save(torch.zeros(511, 1, 256), tmp_path / "voices" / "pf_x.pt")
    with pytest.raises(StackError, match=r"pf_x\.pt is not a Kokoro voice"):
        KokoroTorch(tmp_path, voices=voice_files(), device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_without_a_card_cuda_is_refused(folder: Path) -> None:
    with pytest.raises(StackError, match="sees none"):
        KokoroTorch(folder, voices=voice_files(), share=0.1)


def test_a_stand_in_is_there_only_while_it_is_needed() -> None:
    with stand_ins("a_library_nobody_has.part", "json"):
        import a_library_nobody_has.part as part  # pyright: ignore[reportMissingImports]

        assert find_spec("a_library_nobody_has") is not None
    assert part.__name__ == "a_library_nobody_has.part"
    assert find_spec("a_library_nobody_has") is None
    assert find_spec("json.decoder") is not None  # one that is installed stays
    assert "spacy" not in sys.modules or find_spec("spacy") is not None


async def test_warming_up_speaks_parts_of_all_sizes(engine: KokoroTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken: list[int] = []
    infer = KPipeline.infer

    def counted(model: Any, phonemes: str, *rest: Any) -> Any:
        spoken.append(len(phonemes))
        return infer(model, phonemes, *rest)

    monkeypatch.setattr(KPipeline, "infer", staticmethod(counted))
    with offline():
        await asyncio.to_thread(engine.warm_up)
    assert min(spoken) < 10
    assert max(spoken) > 200
    assert all(longer < 6 * shorter for shorter, longer in itertools.pairwise(sorted(spoken)))
