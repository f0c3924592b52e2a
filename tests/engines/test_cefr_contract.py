"""What every CEFR engine must do. To test another one, add it to `ENGINES` and the fixture `engine`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from serve_app.protocols import LEVELS, CefrEngine, LevelEstimate

ENGINES = [
    pytest.param("lexical", marks=pytest.mark.cpu_engine),
    *(["transformers"] if find_spec("torch") and find_spec("transformers") else []),
]
"""Those whose library is installed here; transformers with random weights: nothing here asks what a text means."""

TEXTS = (
    "Eu tenho um gato e gosto muito de café com leite.",
    "Ontem eu fui ao parque com a minha irmã e nós comemos um sorvete.",
    "Não obstante as ressalvas metodológicas, convém reconhecer que a tese carece de respaldo empírico.",
)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CefrEngine:
    return make(request.param, tmp_path_factory.mktemp("cefr"))


def make(name: str, folder: Path) -> CefrEngine:
    if name == "lexical":
        from serve_app.engines.cefr.lexical import LexicalCefr

        return LexicalCefr()
    from gpu_engines import tiny_cefr

    from serve_app.engines.cefr.transformers_cefr import TransformersCefr

    return TransformersCefr(tiny_cefr.make(folder / "tiny"), device="cpu")


@pytest.mark.parametrize("text", ["", "...", "oi tudo bem", "sim, não!", "— 12 1999 —"])
async def test_under_four_words_no_level_is_told(engine: CefrEngine, text: str) -> None:
    assert await engine.classify(text) == LevelEstimate(level=None, confidence=0.0)


async def test_probabilities_are_of_levels_and_sum_to_one(engine: CefrEngine) -> None:
    for earlier in ([], [TEXTS[0]], list(TEXTS) * 5):
        estimate = await engine.classify(TEXTS[1], earlier)
        assert [level for level in LEVELS if level in estimate.probabilities] == list(estimate.probabilities)
        assert sum(estimate.probabilities.values()) == pytest.approx(1)
        assert all(p >= 0 for p in estimate.probabilities.values())
        assert estimate.level is not None
        assert estimate.confidence == estimate.probabilities[estimate.level] == max(estimate.probabilities.values())


async def test_the_estimate_counts_the_utterances_it_rests_on(engine: CefrEngine) -> None:
    assert (await engine.classify(TEXTS[0])).utterances == 1
    assert (await engine.classify(TEXTS[0], [TEXTS[1], "...", TEXTS[2]])).utterances == 3


async def test_the_order_of_the_utterances_does_not_matter(engine: CefrEngine) -> None:
    one = await engine.classify(TEXTS[2], TEXTS[:2])
    other = await engine.classify(TEXTS[0], TEXTS[1:])
    assert one.probabilities == pytest.approx(other.probabilities)


async def test_a_batch_is_estimated_as_each_alone(engine: CefrEngine) -> None:
    requests = [(TEXTS[0], ()), ("oi", ()), (TEXTS[1], (TEXTS[2],)), ("", (TEXTS[0], TEXTS[1]))]
    together = await engine.classify_batch(requests)
    assert len(together) == len(requests)
    for (text, earlier), estimate in zip(requests, together, strict=True):
        alone = await engine.classify(text, earlier)
        assert (estimate.level, estimate.utterances) == (alone.level, alone.utterances)
        assert estimate.probabilities == pytest.approx(alone.probabilities, abs=1e-4)


async def test_an_empty_batch_is_an_empty_answer(engine: CefrEngine) -> None:
    assert await engine.classify_batch([]) == []
