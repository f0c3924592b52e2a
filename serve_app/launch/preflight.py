"""Checks before anything loads: can this stack run on this machine?"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence

import ray

from serve_app.access.keys import Keys
from serve_app.config.lint import StackFile
from serve_app.config.stack import KokoroOnnxConfig, StackArgs
from serve_app.config.user_config import IngressSettings, settings
from serve_app.errors import StackError, unknown_voice
from serve_app.gpu import budget, card_plan
from serve_app.gpu.cards import Card, present_cards, present_count, smallest
from serve_app.observe import tracing
from serve_app.scenarios.library import library
from serve_app.store.check import check as check_store
from serve_app.weights.sources import check_weights
from serve_app.weights.voices import voice_files

CPU_STACK = "configs/cpu_stack.yaml"

LIBRARIES: dict[str, tuple[str, str]] = {
    "faster-whisper": ("faster_whisper", "cpu"),
    "lexical": ("wordfreq", "cpu"),
    "llama-cpp": ("xllamacpp", "cpu"),
    "kokoro-onnx": ("kokoro_onnx", "cpu"),
    "transformers": ("transformers", "gpu"),
    "vllm": ("vllm", "gpu"),
    "kokoro": ("kokoro", "gpu"),
    "qwen3-tts": ("faster_qwen3_tts", "gpu"),
}
"""Per engine: the module it needs and the extra that installs it."""

LEAST_DRIVER = 580
"""The first NVIDIA driver for CUDA 13, which PyTorch 2.13 is built for."""


def check(args: StackArgs, gpus: float | None = None) -> None:
    """Refuse a stack that cannot run here, with one line that says what would run.

    `gpus` is the number of cards; None counts those of this machine, or of the Ray cluster this process belongs to.

    Raises:
        StackError: no or too few GPUs, a driver too old or a card too small, a missing library, weights that
            cannot be fetched, spans that cannot be sent, API keys that cannot be read, a store of conversations that
            cannot be used.
    """
    tracing.asked_for()
    Keys(args.keys_file)
    check_store(args.store)
    _check_gpus(args, cards() if gpus is None else gpus)
    if any(budget.on_card(config) for config in args.stages().values()) and (present := present_cards()):
        check_cards(args, present)
    for stage, config in args.stages().items():
        module, extra = LIBRARIES[config.engine]
        if importlib.util.find_spec(module) is None:
            raise StackError(
                f"{stage}: the engine '{config.engine}' needs the library '{module}': "
                f"pip install 'parle-serve[{extra}]'."
            )
        check_weights(stage, config)


def check_settings(stack: StackFile) -> None:
    """Refuse settings that name what is not there: a voice, a folder of scenarios.

    Raises:
        StackError: one line for each error.
    """
    check_voice(stack)
    check_scenarios(stack)


def check_voice(stack: StackFile) -> None:
    """Refuse a default voice that the stack does not have, where its voices are files of ours: other models bring some.

    Raises:
        StackError: there is no such voice; it names those that there are.
    """
    tts, voice = stack.args.tts, stack.user_config("TextToSpeech").get("voice")
    if voice is None or not isinstance(tts, KokoroOnnxConfig):
        return
    if voice not in (voices := voice_files(tts.voices_folder)):
        raise StackError(f"TextToSpeech: user_config: voice: {unknown_voice(voice, voices).message}")


def check_scenarios(stack: StackFile) -> None:
    """Refuse a folder of scenarios that cannot be read, or in which a file has errors.

    Raises:
        WrongFile: one line for each error: file, line, key, what would be right.
    """
    given = settings(IngressSettings, stack.user_config("Ingress"))
    library(given.teaching.scenarios_folder)


def cards() -> float:
    """NVIDIA GPUs of the cluster this process belongs to, else of this machine.

    A cluster that grows on demand has none before the first stage asks for one: PARLE_CLUSTER_GPUS says how many it
    may grow to.
    """
    if ray.is_initialized():
        return max(float(ray.cluster_resources().get("GPU", 0)), _promised_cards())
    return float(present_count())


def _promised_cards() -> float:
    promised = os.environ.get("PARLE_CLUSTER_GPUS", "0")
    try:
        return float(promised)
    except ValueError:
        raise StackError(f"PARLE_CLUSTER_GPUS must be a number of cards, not '{promised}'.") from None


def check_cards(args: StackArgs, present: Sequence[Card]) -> None:
    """Refuse cards of this machine whose driver is too old or whose memory is too small for the shares.

    Raises:
        StackError: one line that says which, and what would fit.
    """
    weakest = smallest(present)
    # CTranslate2 is built for CUDA 12.
    torch = any(budget.on_card(config) and config.engine != "faster-whisper" for config in args.stages().values())
    version = (weakest.driver or "").partition(".")[0]
    if torch and version.isdigit() and int(version) < LEAST_DRIVER:
        raise StackError(
            f"The NVIDIA driver here is {weakest.driver}; PyTorch 2.13 is built for CUDA 13 and needs {LEAST_DRIVER} "
            "or newer: update the driver, or rent a machine whose image has a newer one."
        )
    # In a cluster more cards may stand on other machines: the count and the placement were checked before.
    plan = card_plan.plan(args, weakest, max(len(present), int(cards())))
    if plan.placed and (error := plan.error()) is not None:
        raise StackError(f"The stack does not fit this machine's {weakest.name}: {error}")


def _check_gpus(args: StackArgs, present: float) -> None:
    shares = {name: config.num_gpus for name, config in args.stages().items() if config.num_gpus}
    if not shares or card_plan.place(shares, int(present)) is not None:
        return
    if present == 0:
        raise StackError(
            f"This stack needs a GPU (its stages share {args.gpus():g} of a card) and there is none here; "
            f"run the CPU stack instead: parle serve {CPU_STACK}"
        )
    named = ", ".join(f"{name} {share:g}" for name, share in shares.items())
    if args.gpus() <= present + 1e-6:
        raise StackError(
            f"The shares ({named}) cannot be placed on the {present:g} GPUs here, since each must lie on one card; "
            "change their num_gpus so that those that share a card add up to 1 at most."
        )
    raise StackError(
        f"The stages share {args.gpus():g} GPUs ({named}) and {present:g} are available; "
        f"lower their num_gpus, or run the CPU stack instead: parle serve {CPU_STACK}"
    )
