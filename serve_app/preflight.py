"""What can be known before anything loads: that this stack can run on this machine."""

from __future__ import annotations

import importlib.util

import ray
from ray._private.accelerators import NvidiaGPUAcceleratorManager

from serve_app import weights
from serve_app.errors import StackError
from serve_app.stack import StackArgs

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


def check(args: StackArgs, gpus: float | None = None) -> None:
    """Refuse a stack that cannot run here, in one line that says what would.

    `gpus` is how many cards there are; None counts those of this machine, or of the Ray
    cluster this process belongs to.

    Raises:
        StackError: no or too few GPUs, a missing library, weights that cannot be had.
    """
    _check_gpus(args, cards() if gpus is None else gpus)
    for stage, config in args.stages().items():
        module, extra = LIBRARIES[config.engine]
        if importlib.util.find_spec(module) is None:
            raise StackError(
                f"{stage}: the engine '{config.engine}' needs the library '{module}': "
                f"pip install 'parle-serve[{extra}]'."
            )
        if model := getattr(config, "model", None):
            weights.check(model)


def cards() -> float:
    """NVIDIA GPUs of the cluster this process belongs to, else of this machine."""
    if ray.is_initialized():
        return float(ray.cluster_resources().get("GPU", 0))
    return float(NvidiaGPUAcceleratorManager.get_current_node_num_accelerators())


def _check_gpus(args: StackArgs, present: float) -> None:
    wanted = args.gpus()
    if wanted == 0 or wanted <= present + 1e-6:
        return
    if present == 0:
        raise StackError(
            f"This stack needs a GPU (its stages share {wanted:g} of a card) and there is none here; "
            f"run the CPU stack instead: parle serve {CPU_STACK}"
        )
    shares = ", ".join(f"{name} {config.num_gpus:g}" for name, config in args.stages().items())
    raise StackError(
        f"The stages share {wanted:g} GPUs ({shares}) and {present:g} are here; "
        f"lower their num_gpus, or run the CPU stack instead: parle serve {CPU_STACK}"
    )
