"""The types of the YAML's `args`: the engines of a stack, their shares of the card, its limits.

They are checked before anything loads, and an unknown key is refused with the nearest known one.
Settings that can change while the stack serves are in `user_config`, see user_config.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from serve_app.config.limits import Limits
from serve_app.config.store import StoreSettings
from serve_app.config.strict import Strict
from serve_app.errors import did_you_mean
from serve_app.protocols import CefrLevel

Route = Literal["sse", "websocket", "web", "openai", "realtime", "pronunciation"]
CardSharing = Literal["auto", "mps", "time-slicing"]
Order = Literal["documented", "eager"]


def _placeable(share: float) -> float:
    if share > 1 and share != int(share):
        raise ValueError("a share of one card is at most 1; several cards must be a whole number")
    return share


def _from_home(folder: Path) -> Path:
    return Path(os.path.expanduser(folder))  # leaves an unknown ~user as it is, where Path.expanduser raises


UserFolder = Annotated[Path, AfterValidator(_from_home)]
"""A folder; a leading ~ is the home of whoever runs the server."""
GpuShare = Annotated[float, Field(ge=0, le=8), AfterValidator(_placeable)]
"""A share of one card, for example 0.25, or whole cards. Ray places by it, and the engine's memory is limited to it."""
HEAD_NODE = "node:__internal_head__"
"""Ray's resource that only the head node has. The Ingress needs a little of it, unless the stack says otherwise: so
another node may die without taking connections along, and a SQLite file stays on one machine."""
OnCpu = Literal[0]
"""An engine that runs on the CPU only."""
Device = Literal["cuda", "cpu"]
Dtype = Literal["float32", "float16", "bfloat16"]


class OnCard(Strict):
    """An engine that needs a share of a card; `device: cpu` runs it on the CPU, slowly."""

    num_gpus: GpuShare
    device: Device = "cuda"

    @model_validator(mode="after")
    def _has_a_share(self) -> OnCard:
        if self.device == "cuda" and not self.num_gpus:
            raise ValueError(
                "num_gpus: this engine needs a share of a card, for example 0.2 (or device: cpu, which is slow)"
            )
        return self


class FasterWhisperConfig(Strict):
    """Whisper through CTranslate2; on CUDA if it has a share of a card, else on the CPU."""

    engine: Literal["faster-whisper"]
    model: str = "wheel:whisper-base"
    """OpenAI's names work too: Parle loads their CTranslate2 conversions."""
    num_gpus: GpuShare = 0
    compute_type: Literal["int8", "int8_float16", "float16", "float32"] | None = None
    """None: float16 on CUDA, int8 on the CPU."""
    threads: Annotated[int, Field(ge=1)] = 2
    beam_size: Annotated[int, Field(ge=1, le=10)] = 5


class TransformersWhisperConfig(OnCard):
    """Whisper through transformers; takes checkpoints as published."""

    engine: Literal["transformers"]
    model: str
    dtype: Dtype = "float16"
    max_batch: Annotated[int, Field(ge=1, le=64)] = 8
    """Utterances of different learners transcribed at once."""


class LexicalCefrConfig(Strict):
    """Level from word frequencies and grammar; needs no model files."""

    engine: Literal["lexical"]
    num_gpus: OnCpu = 0


class TransformersCefrConfig(OnCard):
    """Level from a sequence classifier, with labels from its config."""

    engine: Literal["transformers"]
    model: str
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Not float16: mDeBERTa overflows in it."""
    labels: dict[str, CefrLevel] = Field(default={})
    """The level of each of the model's labels, if its config calls them LABEL_0, LABEL_1 ..."""
    max_batch: Annotated[int, Field(ge=1, le=64)] = 16
    """Learners whose level is estimated at once."""


class LlamaCppConfig(Strict):
    """A GGUF chat model through llama.cpp."""

    engine: Literal["llama-cpp"]
    model: str = "wheel:qwen2.5-coder-1.5b-instruct"
    """On the hub: organisation/name:FILE.gguf."""
    num_gpus: OnCpu = 0
    context_tokens: Annotated[int, Field(ge=512)] = 4096
    """Per slot: the longest conversation, the tutor's prompt included."""
    slots: Annotated[int, Field(ge=1, le=64)] = 2
    """Replies written at the same time."""
    threads: Annotated[int, Field(ge=1)] = 2
    """CPU threads that read the prompt."""
    decode_threads: Annotated[int, Field(ge=1)] = 1
    """CPU threads that write the reply; leave a core for the speech, which is synthesized at the same time."""
    prompt_cache_mib: Annotated[int, Field(ge=0)] = 512
    """Host memory for conversations whose slot was taken by another."""
    chat_template: Literal["model", "transcript"] = "model"
    """`transcript` for base models without a chat template of their own."""


class VllmConfig(OnCard):
    """A chat model through vLLM's async engine, text only."""

    engine: Literal["vllm"]
    model: str
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    context_tokens: Annotated[int, Field(ge=512)] = 4096
    """The longest conversation, the tutor's prompt included."""
    max_replies: Annotated[int, Field(ge=1, le=256)] = 16
    """Replies written at the same time."""
    kv_cache_gib: Annotated[float, Field(gt=0)] | None = None
    """Memory for the conversations; None: all that the share leaves after the weights."""
    format: Literal["auto", "mistral"] = "auto"
    """`mistral`: tokenizer, config and weights as Mistral publishes them (tekken.json, params.json, consolidated)."""
    chat_template: Literal["model", "transcript"] = "model"
    """`transcript` for base models without a chat template of their own."""
    cuda_graphs: bool = True
    """False starts faster but writes slower."""


class KokoroOnnxConfig(Strict):
    """Kokoro through onnxruntime on a CPU."""

    engine: Literal["kokoro-onnx"]
    model: str = "wheel:kokoro-82m"
    num_gpus: OnCpu = 0
    voices_folder: UserFolder | None = None
    """A folder of Kokoro voice files, NAME.bin; by default the three Portuguese voices that come with Parle."""
    language: str = "pt-br"
    threads: Annotated[int, Field(ge=1)] = 2


class KokoroConfig(OnCard):
    """Kokoro through its own pipeline on PyTorch."""

    engine: Literal["kokoro"]
    model: str
    voices_folder: UserFolder | None = None
    """A folder of Kokoro voice files, NAME.bin; by default the three Portuguese voices that come with Parle."""


class Qwen3TtsConfig(OnCard):
    """Qwen3-TTS; on CUDA streamed inside a sentence."""

    engine: Literal["qwen3-tts"]
    model: str
    dtype: Dtype = "bfloat16"
    language: str = "Portuguese"
    chunk_frames: Annotated[int, Field(ge=1, le=50)] = 4
    """Frames of 80 ms in one piece of audio: small pieces are heard sooner, large ones cost less."""


SttConfig = Annotated[FasterWhisperConfig | TransformersWhisperConfig, Field(discriminator="engine")]
CefrConfig = Annotated[LexicalCefrConfig | TransformersCefrConfig, Field(discriminator="engine")]
LlmConfig = Annotated[LlamaCppConfig | VllmConfig, Field(discriminator="engine")]
TtsConfig = Annotated[KokoroOnnxConfig | KokoroConfig | Qwen3TtsConfig, Field(discriminator="engine")]
StageConfig = SttConfig | CefrConfig | LlmConfig | TtsConfig


class GpuConfig(Strict):
    """What concerns the card as a whole."""

    sharing: CardSharing = "auto"
    """How processes share a card: by NVIDIA's MPS, by time slicing, or by MPS where the machine lets it be started."""

    @field_validator("sharing", mode="before")
    @classmethod
    def _know_every_sharing(cls, sharing: Any) -> Any:
        if sharing not in SHARINGS:
            raise ValueError(did_you_mean("sharing", str(sharing), SHARINGS))
        return sharing


class StackArgs(Strict):
    """`args` of the application."""

    routes: list[Route] = Field(default=["sse", "websocket"], min_length=1)
    stt: SttConfig = FasterWhisperConfig(engine="faster-whisper")
    cefr: CefrConfig | None = None
    llm: LlmConfig = LlamaCppConfig(engine="llama-cpp")
    tts: TtsConfig = KokoroOnnxConfig(engine="kokoro-onnx")
    gpu: GpuConfig = GpuConfig()
    limits: Limits = Limits()
    store: StoreSettings = StoreSettings()
    """Where conversations are kept."""
    cors_origins: list[str] = Field(default=[])
    """Origins of web pages that may use the server besides its own; "*" for any, "null" for a page opened as a file."""
    keys_file: Path | None = None
    """A file of hashed API keys, as `parle key` writes it. Read again when it changes; None: no key is needed."""
    hosts: list[str] = Field(default=[])
    """Names under which clients reach the server, besides localhost and IP addresses; "*" for any."""

    @model_validator(mode="before")
    @classmethod
    def _know_every_engine(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for stage, engines in ENGINES.items():
                config = data.get(stage)
                if isinstance(config, dict) and config.get("engine") not in engines:
                    raise ValueError(f"{stage}: " + did_you_mean("engine", str(config.get("engine")), engines))
        return data

    @field_validator("routes", mode="before")
    @classmethod
    def _know_every_route(cls, routes: Any) -> Any:
        for route in routes if isinstance(routes, list) else ():
            if route not in ROUTES:
                raise ValueError(did_you_mean("route", str(route), ROUTES))
        return routes

    @model_validator(mode="after")
    def _keep_what_fits(self) -> StackArgs:
        most = self.limits.fitting(self.llm.context_tokens).history_tokens
        if "history_tokens" in self.limits.model_fields_set and self.limits.history_tokens > most:
            raise ValueError(
                f"limits.history_tokens: {self.limits.history_tokens} do not fit llm.context_tokens: "
                f"{self.llm.context_tokens} beside an utterance and the reply; at most {most}"
            )
        return self

    def stages(self) -> dict[str, StageConfig]:
        """The stages this stack has, in the order a turn passes them."""
        stages = {"stt": self.stt, "cefr": self.cefr, "llm": self.llm, "tts": self.tts}
        return {name: config for name, config in stages.items() if config is not None}

    def gpus(self) -> float:
        """The sum of the stages' shares, in cards."""
        return sum(config.num_gpus for config in self.stages().values())


ROUTES: list[str] = list(get_args(Route))
SHARINGS: list[str] = ["auto", "mps", "time-slicing"]
ENGINES: dict[str, list[str]] = {
    "stt": ["faster-whisper", "transformers"],
    "cefr": ["lexical", "transformers"],
    "llm": ["llama-cpp", "vllm"],
    "tts": ["kokoro-onnx", "kokoro", "qwen3-tts"],
}
