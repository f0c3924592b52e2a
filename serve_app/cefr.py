"""The CefrClassifier deployment: what the learner said in, their level out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray import serve

from serve_app.protocols import CefrEngine, LevelEstimate
from serve_app.stack import CefrConfig, CefrSettings, LexicalCefrConfig
from serve_app.stage import DEFAULTS, failing_as, load, settings


def build_engine(config: CefrConfig) -> CefrEngine:
    """Load the engine the YAML names; blocks for a second or more."""
    if isinstance(config, LexicalCefrConfig):
        from serve_app.engines.lexical import LexicalCefr

        return LexicalCefr()
    from serve_app.engines import not_on_this_machine

    raise not_on_this_machine("cefr", config.engine)


@serve.deployment(name="CefrClassifier", **DEFAULTS)
class CefrClassifier:
    """Keeps nothing about a learner: the earlier utterances come with each call."""

    async def __init__(self, config: CefrConfig) -> None:
        self._settings = CefrSettings()
        self._engine = await load(lambda: build_engine(config))

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        self._settings = settings(CefrSettings, user_config)

    async def classify(self, text: str, earlier: Sequence[str]) -> LevelEstimate:
        """Estimate the level from `text` and the learner's earlier utterances, oldest first."""
        kept = self._settings.utterances - 1
        with failing_as("cefr"):
            return await self._engine.classify(text, earlier[-kept:] if kept else ())

    async def ready(self) -> bool:
        """True as soon as the replica answers: it does so only with its weights loaded."""
        return True
