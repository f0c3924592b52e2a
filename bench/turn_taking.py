"""Who is cut off, and how long does one wait: turn-taking on hesitant Portuguese.

    python -m bench.turn_taking [--part development] [--save FILE]     # 10 minutes the first time, then 1

Every way of deciding hears the same utterances (bench/hesitant_speech.py) in stream time, one conversation a voice.
Transcripts are Whisper base's of what was said up to a pause, and arrive late, as they do in a stack; Smart Turn's
answers too. Both are computed once and kept beside the weights.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from serve_app.engines.turns.silero import FRAME, silero
from serve_app.engines.turns.smart_turn import SmartTurn
from serve_app.protocols import STT_SAMPLE_RATE, Audio
from serve_app.turn_taking import Paused, SpeechStarted, SpeechStopped, TurnDetector, TurnModels, TurnSettings
from serve_app.turn_taking.pause import Pause
from serve_app.turn_taking.stops import StopStrategy, Wait
from serve_app.weights.model_names import resolve
from serve_app.weights.sources import SMART_TURN

from .hesitant_speech import VOICES, Part, Utterance, utterances
from .turn_ears import Ears, HeardVoice, Late

TEXT_DELAY_S = {"CPU": (0.15, 0.06), "GPU": (0.1, 0.01)}
"""From a pause to its transcript: so long, and so much more for each second of what was said. CPU: Whisper base on two
idle cores. GPU: large-v3-turbo."""

SMART_TURN_GIVES_UP_S = 3.0
"""pipecat's limit of the silence after which a turn ends, whatever Smart Turn says."""

EARLY_S = 0.1
"""A turn that ends this much before the last sound is no cut-off: the voice detector ends a voice a little early."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of deciding; `text_delay_s` None: without transcripts."""

    name: str
    settings: TurnSettings
    strategy: StopStrategy | None = None
    text_delay_s: tuple[float, float] | None = None
    by_level: bool = False


@dataclass(slots=True)
class Count:
    """What a way did with all utterances: seconds of wait, and cut-offs."""

    waits_s: list[float] = field(default_factory=list)
    finished_waits_s: list[float] = field(default_factory=list)
    pauses: int = 0
    cut_pauses: int = 0
    hesitant: int = 0
    cut: list[Utterance] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        return {
            "cut_off_utterances": round(len(self.cut) / self.hesitant, 4),
            "cut_off_pauses": round(self.cut_pauses / self.pauses, 4),
            "cut_off_of_all": round(len(self.cut) / len(self.waits_s), 4),
            "wait_median_s": round(statistics.median(self.finished_waits_s), 3),
            "wait_p95_s": round(float(np.percentile(self.finished_waits_s, 95)), 3),
            "hesitant_wait_median_s": round(statistics.median(self.waits_s), 3),
        }


def smart_turn_alone(pause: Pause) -> Wait:
    finished = pause.finished is not None and pause.finished > 0.5
    return Wait(0.0 if finished else SMART_TURN_GIVES_UP_S, "finished" if finished else "patience", pause.finished or 0)


def ways() -> list[Way]:
    fixed = [
        Way(f"plain VAD, {ms} ms", TurnSettings(mode="server_vad", silence_duration_ms=ms)) for ms in (300, 600, 1000)
    ]
    ours = [
        Way(f"Parle, {stack} stack", TurnSettings(), text_delay_s=delay, by_level=True)
        for stack, delay in TEXT_DELAY_S.items()
    ]
    without = Way("Parle, no transcripts", TurnSettings(), by_level=True)
    return [*fixed, Way("Smart Turn v3.2 at .5", TurnSettings(), smart_turn_alone), without, *ours]


@dataclass(slots=True)
class Conversation:
    """The utterances of one voice, one after the other, as one stream."""

    said: list[Utterance]
    audio: Audio
    starts_s: list[float]
    voice: HeardVoice


def conversations(said: Iterable[Utterance]) -> list[Conversation]:
    """One for each voice; every utterance begins at a whole frame."""
    made = []
    everything = list(said)
    for voice in VOICES:
        own = [utterance for utterance in everything if utterance.voice == voice]
        random.Random(voice).shuffle(own)
        parts, starts, at = [], [], 0
        for utterance in own:
            starts.append(at / STT_SAMPLE_RATE)
            part = utterance.audio[: len(utterance.audio) // FRAME * FRAME]
            parts.append(part)
            at += len(part)
        audio = np.concatenate(parts)
        made.append(Conversation(own, audio, starts, HeardVoice(audio)))
    return made


def stops(conversation: Conversation, way: Way, ears: Ears) -> list[float]:
    """When the turns end, in seconds of the stream."""
    late = Late(ears)
    level = conversation.said[0].level
    settings = TurnSettings(level=level) if way.by_level else way.settings
    detector = TurnDetector(settings, TurnModels(conversation.voice, late), strategy=way.strategy)
    texts: list[tuple[float, float, str]] = []
    starts = {round(start * STT_SAMPLE_RATE): number for number, start in enumerate(conversation.starts_s)}
    begun_s, ended = 0.0, []
    for at in range(0, len(conversation.audio), FRAME):
        if at in starts:  # the tutor has spoken, and asked something every second time
            detector.tutor_speaking(True)
            detector.tutor_speaking(False)
            detector.reset()
            if starts[at] % 2:
                detector.asked_question()
        now_s = at / STT_SAMPLE_RATE
        late.pass_to(now_s)
        while texts and texts[0][0] <= now_s:
            _, until_s, text = texts.pop(0)
            detector.heard(text, until_s)
        for event in detector.feed(conversation.audio[at : at + FRAME]):
            match event:
                case SpeechStarted():
                    begun_s = event.at_s
                    texts.clear()
                case Paused() if (delay := way.text_delay_s) is not None:
                    heard = conversation.audio[round(begun_s * STT_SAMPLE_RATE) : round(event.at_s * STT_SAMPLE_RATE)]
                    took_s = delay[0] + delay[1] * len(heard) / STT_SAMPLE_RATE
                    texts.append((event.at_s + took_s, event.at_s, ears.text(heard)))
                case SpeechStopped():
                    ended.append(event.at_s)
                case _:
                    pass
    return ended


def counted(conversation: Conversation, ended: Sequence[float], count: Count) -> None:
    """Compare when the turns ended with when they should have."""
    for utterance, start_s in zip(conversation.said, conversation.starts_s, strict=True):
        last_s = start_s + len(utterance.audio) / STT_SAMPLE_RATE
        own = [at - start_s for at in ended if start_s <= at < last_s]
        early = [at for at in own if at < utterance.end_s - EARLY_S]
        after = [at for at in own if at >= utterance.end_s - EARLY_S]
        count.pauses += len(utterance.pauses)
        count.cut_pauses += sum(any(a <= at < b + EARLY_S for at in early) for a, b in utterance.pauses)
        count.hesitant += bool(utterance.pauses)
        if early:
            count.cut.append(utterance)
        wait = after[0] - utterance.end_s if after else len(utterance.audio) / STT_SAMPLE_RATE - utterance.end_s
        count.waits_s.append(wait)
        if not utterance.pauses:
            count.finished_waits_s.append(wait)


def measure(said: Sequence[Utterance], chosen: Sequence[Way], ears: Ears) -> dict[str, Count]:
    counts = {way.name: Count() for way in chosen}
    for conversation in conversations(said):
        for way in chosen:
            counted(conversation, stops(conversation, way, ears), counts[way.name])
        ears.save()
    return counts


def costs(audio: Audio) -> dict[str, float]:
    """Milliseconds of a core's time: a frame of 32 ms through the whole detector, and one answer of Smart Turn."""
    detector, sound = TurnDetector(TurnSettings(), TurnModels(silero(), None)), SmartTurn(resolve(SMART_TURN))
    frames, answers = [], []
    for at in range(0, len(audio) - FRAME, FRAME):
        started = time.thread_time()
        detector.feed(audio[at : at + FRAME])
        frames.append(time.thread_time() - started)
    for _ in range(20):
        started = time.thread_time()
        sound.finished(audio)
        answers.append(time.thread_time() - started)
    return {
        "frame_ms": round(1000 * statistics.median(frames), 3),
        "sound_ms": round(1000 * statistics.median(answers), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Cut-offs and waits on hesitant Portuguese.")
    parser.add_argument("--part", choices=("development", "held-out"), default="held-out")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--show", action="store_true", help="the utterances that were cut off")
    args = parser.parse_args()
    part: Part = args.part
    said = utterances(part)
    counts = measure(said, ways(), Ears())
    for name, count in counts.items():
        print(f"{name:26}" + "  ".join(f"{key} {value:.3f}" for key, value in count.figures().items()))
        if args.show and name.startswith("Parle"):
            for cut in count.cut:
                print(f"    {cut.kind}: {cut.text} ({cut.name}, {[round(b - a, 1) for a, b in cut.pauses]})")
    if args.save:
        first = next(iter(counts.values()))
        result = {
            "utterances": len(said),
            "hesitant": first.hesitant,
            "pauses": first.pauses,
            "part": part,
            "text_delay_s": TEXT_DELAY_S,
            "costs": costs(said[0].audio),
            "ways": {name: count.figures() for name, count in counts.items()},
        }
        args.save.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
