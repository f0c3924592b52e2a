"""The CEFR engine `lexical`, through its Protocol; how good it is, through its bench."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.paths import ROOT

from bench.cefr_engines import UNSEEN, as_row, figures, load
from serve_app.engines.cefr.lexical import LexicalCefr
from serve_app.errors import StackError
from serve_app.protocols import LEVELS, CefrEngine, LevelEstimate

DATA = ROOT / "serve_app" / "data" / "cefr_lexical.json"

EASY = "Eu tenho um gato e gosto muito de café com leite."
HARD = "Não obstante as ressalvas metodológicas, convém reconhecer que a tese carece de respaldo empírico."


@pytest.fixture(scope="module")
def engine() -> CefrEngine:
    return LexicalCefr()


def height(estimate: LevelEstimate) -> float:
    """The expected level, A1 = 0 .. C2 = 5."""
    return sum(LEVELS.index(level) * p for level, p in estimate.probabilities.items())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "oi tudo bem",
        "hum... né, é... ahn",
        "sim sim sim sim sim sim",
        "What is your favourite colour?",
    ],
)
async def test_too_little_portuguese_gives_no_level(engine: CefrEngine, text: str):
    assert await engine.classify(text) == LevelEstimate(level=None, confidence=0.0)


async def test_a_short_utterance_does_not_change_the_estimate(engine: CefrEngine):
    before = await engine.classify(HARD, [EASY])
    assert await engine.classify("hum, não sei", [EASY, HARD]) == before
    assert await engine.classify(HARD, [EASY, "oi"]) == before


async def test_the_estimate_counts_the_utterances_it_rests_on(engine: CefrEngine):
    estimate = await engine.classify(EASY, [EASY, "oi", HARD])
    assert estimate.utterances == 3


@pytest.mark.parametrize("text", [EASY, HARD])
@pytest.mark.parametrize("earlier", [[], [EASY], [HARD] * 30])
async def test_probabilities_are_of_all_levels_and_sum_to_one(engine: CefrEngine, text: str, earlier: list[str]):
    estimate = await engine.classify(text, earlier)
    assert tuple(estimate.probabilities) == LEVELS
    assert sum(estimate.probabilities.values()) == pytest.approx(1)
    assert all(p >= 0 for p in estimate.probabilities.values())
    assert estimate.level is not None
    assert estimate.confidence == estimate.probabilities[estimate.level] == max(estimate.probabilities.values())


async def test_more_utterances_of_one_kind_make_it_surer_but_never_certain(engine: CefrEngine):
    one = await engine.classify("Ontem eu fui ao parque com a minha irmã.")
    many = await engine.classify(
        "Ontem eu fui ao parque com a minha irmã.",
        ["Eu comprei uma bicicleta nova no sábado.", "A gente comeu pizza e depois viu um filme."] * 5,
    )
    assert one.level == many.level == "A2"
    assert one.confidence < many.confidence < 0.95


async def test_everyday_talk_is_lower_than_abstract_argument(engine: CefrEngine):
    easy, hard = await engine.classify(EASY), await engine.classify(HARD)
    assert easy.level == "A1"
    assert hard.level in ("C1", "C2")


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("Eu moro numa casa com meu pai.", "Eu morava numa casa com meu pai."),
        ("Eu viajo e depois eu compro um carro.", "Se eu tivesse dinheiro, eu compraria um carro."),
        ("Ele chegou cedo e nós comemos juntos.", "Embora ele tenha chegado cedo, não comemos juntos."),
    ],
)
async def test_harder_grammar_raises_the_level(engine: CefrEngine, lower: str, higher: str):
    assert height(await engine.classify(lower)) < height(await engine.classify(higher))


@pytest.mark.parametrize(
    "text",
    [
        "hum... eu tenho um um gato, né, e... eu gosto muito de, ahn, de café com leite",
        "Eu tenho eu tenho um gato e e gosto muito de café com leite, é...",
        "eu tenho um gato e gosto muito de café com leite",
    ],
)
async def test_fillers_repetitions_and_missing_punctuation_do_not_raise_the_level(engine: CefrEngine, text: str):
    assert height(await engine.classify(text)) <= height(await engine.classify(EASY)) + 0.15


@pytest.mark.parametrize("name", ["Schwarzenegger", "Wroclaw", "krzysztof", "xptokz"])
async def test_names_and_unknown_words_do_not_raise_the_level(engine: CefrEngine, name: str):
    plain = await engine.classify("Eu moro na cidade com meu amigo.")
    named = await engine.classify(f"Eu moro na cidade com meu amigo {name}.")
    assert height(named) <= height(plain) + 0.15


async def test_the_length_of_an_utterance_alone_does_not_decide(engine: CefrEngine):
    long = await engine.classify(
        "eu tenho um gato e um cachorro e eu moro com meu pai e minha mãe e meu irmão e eu gosto de "
        "futebol e de música e eu estudo de manhã e trabalho de tarde"
    )
    short = await engine.classify("Tal premissa carece de rigor.")
    assert height(long) < 2 < 3 < height(short)


@pytest.mark.parametrize("content", [None, "not json", "{}"])
def test_a_missing_or_damaged_data_file_is_a_stack_error(tmp_path: Path, content: str | None):
    path = tmp_path / "cefr.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StackError, match=r"cefr\.json"):
        LexicalCefr(path)


def test_a_data_file_for_other_features_is_a_stack_error(tmp_path: Path):
    numbers: dict[str, Any] = json.loads(DATA.read_text())
    numbers["features"][0] = "something_else"
    path = tmp_path / "cefr.json"
    path.write_text(json.dumps(numbers))
    with pytest.raises(StackError, match="another version"):
        LexicalCefr(path)


def test_importing_the_engine_loads_no_word_list():
    code = "import sys, serve_app.engines.cefr.lexical; sys.exit(bool({'wordfreq', 'simplemma'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_data_file_is_what_the_script_fits(tmp_path: Path):
    out = tmp_path / "fitted.json"
    subprocess.run([sys.executable, ROOT / "scripts" / "fit_cefr.py", "--out", out], check=True)
    fitted, committed = (json.loads(path.read_text()) for path in (out, DATA))
    # Another processor's linear algebra may differ in the last digit.
    for rows in (fitted, committed):
        rows["weights"] = [weight for row in rows["weights"] for weight in row]
    for name in ("weights", "biases", "gains"):
        assert fitted.pop(name) == pytest.approx(committed.pop(name), abs=2e-4), name
    assert fitted == committed


def test_it_is_as_good_as_we_say(tmp_path: Path):
    """Measured over five rounds: .75 exact, .99 adjacent for one utterance, .99 exact for five."""
    out = tmp_path / "cefr.json"
    subprocess.run([sys.executable, ROOT / "bench" / "cefr.py", "--rounds", "1", "--json", out], check=True)
    report = json.loads(out.read_text())
    one, five, held_out = (report[name] for name in ("1", "5", "1, held out"))
    assert one["exact"] >= 0.65
    assert one["adjacent"] >= 0.95
    assert five["exact"] >= 0.9
    assert held_out["adjacent"] >= 0.9
    assert one["confidence"] <= one["exact"]  # never surer than right


async def test_spoken_utterances_that_it_was_not_fitted_on(engine: CefrEngine):
    """Measured: .80 exact, 1.00 adjacent."""
    texts, levels = load(UNSEEN)
    told = [one.probabilities for one in await engine.classify_batch([(text, ()) for text in texts])]
    found = figures(np.array([as_row(one) for one in told]), levels)
    assert found["exact"] >= 0.75
    assert found["adjacent"] >= 0.95
