"""One engine on a card by itself: the first call after its start against the next, and what could make it quicker."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from . import gpu_work
from .gpu_part import Part, engine_wanted
from .gpu_work import alone, speech, wait_for_card

WORDS = "Eu moro em São Paulo há dois meses e gosto muito da cidade, das pessoas e da comida que fazem aqui"


def times_ms(work: Callable[[], Any], times: int) -> dict[str, Any]:
    """The first call, and the median of the others."""
    found = []
    for _ in range(times):
        wait_for_card()
        began = time.perf_counter()
        work()
        wait_for_card()
        found.append(1000 * (time.perf_counter() - began))
    rest = found[1:] or found
    return {"first": round(found[0], 1), "median": round(statistics.median(rest), 1), "n": len(rest)}


def _times(part: Part) -> int:
    return 2 if part.tiny else 8


def stt(part: Part) -> None:
    """Whisper turbo: first and next call, batches, the window, cuDNN's attention, the decoder as a CUDA graph."""
    if not engine_wanted("stt", part):
        part.row(what="skipped", error="no transformers, or no checkpoint")
        return
    from serve_app.engines.stt import transformers_pass
    from serve_app.engines.stt.short_window import WHOLE_FRAMES, frames_to_encode
    from serve_app.engines.stt.transformers_whisper import TransformersWhisper

    from . import gpu_decoder

    part.row(what="cuDNN attention", enabled_before=torch.backends.cuda.cudnn_sdp_enabled())
    with alone(part.models):
        began = time.perf_counter()
        engine = TransformersWhisper(part.models / "turbo", device=gpu_work.device())
        part.row(
            what="start",
            seconds=round(time.perf_counter() - began, 2),
            cudnn_sdp_after=torch.backends.cuda.cudnn_sdp_enabled(),
        )

        def hear(seconds: float, batch: int = 1) -> Any:
            audio = speech(seconds)
            return asyncio.run(engine.transcribe_batch([audio] * batch, language="pt"))

        part.row(what="transcript", text=hear(5.0)[0].text, steps=engine._model.steps)
        for seconds, batch in ((5.0, 1), (3.0, 1), (10.0, 1), (15.0, 1), (5.0, 4), (5.0, 8)):
            before = engine._model.steps
            found = times_ms(lambda seconds=seconds, batch=batch: hear(seconds, batch), _times(part))
            steps = (engine._model.steps - before) / (_times(part))
            part.row(what="transcribe", seconds=seconds, batch=batch, steps_a_call=steps, ms=found)
        transformers_pass.frames_to_encode = lambda _: WHOLE_FRAMES
        part.row(what="transcribe, window of 30 s", seconds=5.0, batch=1, ms=times_ms(lambda: hear(5.0), _times(part)))
        transformers_pass.frames_to_encode = frames_to_encode
        part.row(what="encoder alone", **gpu_decoder.encoder_times(engine, times_ms))
        before = torch.backends.cuda.cudnn_sdp_enabled()
        for on in (True, False):
            torch.backends.cuda.enable_cudnn_sdp(on)
            found = [times_ms(lambda length=length: hear(length), 2)["first"] for length in (6.1, 7.1, 8.1, 9.1)]
            part.row(what="first call of a new length", cudnn_sdp=on, ms=found)
        torch.backends.cuda.enable_cudnn_sdp(before)
        for batch in (1, 4, 8):
            if part.left_s() > 10:
                part.row(what="decoder", batch=batch, **gpu_decoder.measure(engine, batch, times_ms, tiny=part.tiny))


def qwen3_tts(part: Part) -> None:
    """Qwen3-TTS: first and next call after its start, and two learners at once."""
    if not engine_wanted("tts", part):
        part.row(what="skipped", error="no faster_qwen3_tts, or no checkpoint")
        return
    import serve_app.engines.tts.qwen3_tts  # noqa: F401 - imported before it is this one's turn

    with alone(part.models):
        began = time.perf_counter()
        voice = gpu_work.build("tts", part.models, part.tiny)
        part.row(what="start", seconds=round(time.perf_counter() - began, 2))
        calls = [asyncio.run(voice.call()) for _ in range(_times(part))]
        for number, call in enumerate(calls[:3]):
            part.row(what="call", number=number + 1, **call)
        rest = calls[1:]
        middle = {name: round(statistics.median(call[name] for call in rest), 1) for name in rest[0]}
        part.row(what="median of the others", n=len(rest), **middle)

        async def two() -> list[dict[str, float]]:
            return list(await asyncio.gather(voice.call(), voice.call()))

        both = asyncio.run(two())
        part.row(what="two at once", first_ms=[round(call["first_ms"], 1) for call in both])


def kokoro(part: Part) -> None:
    """Kokoro: first and next call, new lengths, and its decoder over several learners at once."""
    if not engine_wanted("kokoro", part):
        part.row(what="skipped", error="no kokoro, or no checkpoint")
        return
    import serve_app.engines.tts.kokoro  # noqa: F401 - imported before it is this one's turn

    with alone(part.models):
        began = time.perf_counter()
        voice: Any = gpu_work.build("kokoro", part.models, part.tiny)
        part.row(what="start", seconds=round(time.perf_counter() - began, 2))
        words = WORDS.split()
        for number, text in enumerate(("Oi!", "Oi!", *(" ".join(words[:count]) + "." for count in range(3, 21, 2)))):
            first = asyncio.run(voice.call(text))["ms"]
            again = asyncio.run(voice.call(text))["ms"]
            part.row(what="text", number=number + 1, characters=len(text), first_ms=first, again_ms=again)
        for characters in (20, 60):
            for batch in (1, 4, 8):
                found = kokoro_batch(voice.engine, "a" * characters, batch, _times(part))
                part.row(what="batch", phonemes=characters, learners=batch, **found)


@torch.inference_mode()
def kokoro_batch(engine: Any, phonemes: str, batch: int, times: int) -> dict[str, Any]:
    """What KModel.forward_with_tokens does, which is for one text, for several of one length and duration."""
    model, place = engine._model, next(engine._model.parameters()).device
    ids = torch.tensor([[0, *(model.vocab[letter] for letter in phonemes), 0]] * batch, device=place)
    style = next(iter(engine._styles.values()))[len(phonemes)].reshape(1, -1).expand(batch, -1).contiguous()
    lengths = torch.full((batch,), ids.shape[1], device=place)
    nothing = torch.zeros(ids.shape, dtype=torch.bool, device=place)
    each = torch.full((ids.shape[1],), 3, device=place)
    index = torch.repeat_interleave(torch.arange(ids.shape[1], device=place), each)
    align = torch.zeros((ids.shape[1], len(index)), device=place)
    align[index, torch.arange(len(index), device=place)] = 1

    def read() -> tuple[torch.Tensor, torch.Tensor]:
        bert = model.bert_encoder(model.bert(ids, attention_mask=(~nothing).int())).transpose(-1, -2)
        hidden = model.predictor.text_encoder(bert, style[:, 128:], lengths.cpu(), nothing)
        model.predictor.duration_proj(model.predictor.lstm(hidden)[0])
        return hidden.transpose(-1, -2) @ align, model.text_encoder(ids, lengths.cpu(), nothing) @ align

    def speak(spoken: torch.Tensor, read_text: torch.Tensor) -> torch.Tensor:
        pitch, energy = model.predictor.F0Ntrain(spoken, style[:, 128:])
        return model.decoder(read_text, pitch, energy, style[:, :128])

    spoken, read_text = read()
    return {
        "text_ms": times_ms(read, times)["median"],
        "decoder_ms": times_ms(lambda: speak(spoken, read_text), times)["median"],
        "speech_s": round(float(speak(spoken, read_text).shape[-1]) / 24_000, 2),
    }
