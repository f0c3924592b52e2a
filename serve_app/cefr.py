"""The CefrClassifier deployment: a learner's utterances in, an estimate of their level out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app import stopwatch
from serve_app.config.stack import CefrConfig, LexicalCefrConfig
from serve_app.config.user_config import CefrSettings
from serve_app.gpu.mps import hold_to_share
from serve_app.protocols import CefrEngine, LevelEstimate
from serve_app.replicas.live_settings import LiveSettings, SettingsMemory
from serve_app.replicas.replica import DEPLOYMENT_OPTIONS, load_engine, stage_errors
from serve_app.teaching.running_level import RunningLevel
from serve_app.weights.sources import fetched


def build_engine(config: CefrConfig, model: Path | None) -> CefrEngine:
    """Load the engine that the YAML names; blocks for a second or more."""
    if isinstance(config, LexicalCefrConfig):
        from serve_app.engines.cefr.lexical import LexicalCefr

        return LexicalCefr()
    hold_to_share(config.num_gpus)
    from serve_app.engines.cefr.transformers_cefr import TransformersCefr

    assert model is not None
    return TransformersCefr(
        model,
        device=config.device,
        share=config.num_gpus,
        dtype=config.dtype,
        labels=config.labels,
        max_batch=config.max_batch,
    )


def _running_level(said: Sequence[tuple[str, LevelEstimate]]) -> LevelEstimate:
    """One learner's level from what was found in each utterance, oldest first."""
    running = RunningLevel()
    for text, estimate in said:
        running = running.after(estimate.probabilities, len(text.split()))
    if running.level is None:
        return LevelEstimate(level=None, confidence=0.0)
    probabilities = running.probabilities
    return LevelEstimate(running.level, probabilities[running.level], probabilities, running.utterances)


@serve.deployment(name="CefrClassifier", **DEPLOYMENT_OPTIONS)
class CefrClassifier:
    """Stateless: the learner's earlier utterances come with each call."""

    async def __init__(
        self, config: CefrConfig, after: DeploymentHandle | None = None, *, memory: SettingsMemory | None = None
    ) -> None:
        self._settings = LiveSettings("CefrClassifier", CefrSettings, memory=memory)
        self._engine = await load_engine(
            lambda: None if isinstance(config, LexicalCefrConfig) else fetched(config),
            lambda model: build_engine(config, model),
            after,
        )
        self._together.set_max_batch_size(self._engine.max_batch)  # pyright: ignore[reportAttributeAccessIssue]

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        await self._settings.change(user_config)

    def refused_settings(self) -> str | None:
        """Why the latest user_config is not in force; None where it is."""
        return self._settings.refused

    async def classify(self, text: str, earlier: Sequence[str]) -> LevelEstimate:
        """Estimate the level from `text` and the learner's earlier utterances, oldest first."""
        kept = self._settings.now.utterances - 1
        earlier = earlier[-kept:] if kept else ()
        with stage_errors("cefr"):
            if self._engine.max_batch == 1:
                watch = stopwatch.start()
                return replace((await self._running([(text, earlier)]))[0], compute_s=watch.seconds)
            return await self._together((text, earlier))

    @serve.batch(batch_wait_timeout_s=0)  # no batching delay: a batch is whatever queued during the previous one
    async def _together(self, requests: list[tuple[str, Sequence[str]]]) -> list[LevelEstimate]:
        watch = stopwatch.start()
        estimates = await self._running(requests)
        return [replace(one, compute_s=watch.seconds) for one in estimates]  # each waited for the whole batch

    async def _running(self, requests: Sequence[tuple[str, Sequence[str]]]) -> list[LevelEstimate]:
        """The learners' running levels. Each utterance is classified alone; the engine remembers the earlier ones."""
        learners = [[*earlier, text] for text, earlier in requests]
        alone = iter(await self._engine.classify_batch([(text, ()) for texts in learners for text in texts]))
        return [_running_level([(text, next(alone)) for text in texts]) for texts in learners]

    async def ready(self) -> bool:
        """Always True: a replica answers only once its weights are loaded."""
        return True
