"""How well the tutor answers: conversations of learners, every reply checked.

    python -m bench.tutor_eval                                    # this machine, llama.cpp, without speech: 8 minutes
    python -m bench.tutor_eval --planner off                      # the model alone
    python -m bench.tutor_eval --url http://host:8000             # any running stack, spoken to
    python -m bench.tutor_eval --part unseen --save docs/tutor-evaluation.md --sheet 60 > sheet.jsonl
    python -m bench.tutor_eval --agree sheet.jsonl                # once a person has filled the sheet in

The checks are mechanical; a reply that passes them may still be dull or wrong. Read the replies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from serve_app.teaching.heard_errors import sure_errors

from .inprocess import tutor
from .tutor_checks import words
from .tutor_conversations import Conversation, Kind, Part, conversations
from .tutor_replies import Reply, Served, Tutor, Typed, converse
from .tutor_sheet import agreement, sheet

DEFAULT_MODEL = "wheel:qwen2.5-coder-1.5b-instruct"
GENERATED = "<!-- what follows is written by bench/tutor_eval.py -->"


def figures(replies: Sequence[Reply]) -> dict[str, tuple[float, int]]:
    """For each check the share of replies with its fault, and of how many; the rest are counts and medians."""
    found: dict[str, tuple[float, int]] = {}
    for name in dict.fromkeys(name for reply in replies for name in reply.faults):
        found[name] = _share([reply.faults[name] for reply in replies if name in reply.faults])
    asked = [reply for reply in replies if reply.conversation.asks_for_fact(reply.line)]
    found["of them, of what was said before"] = _share([reply.faults["question without an answer"] for reply in asked])
    for kind in get_args(Kind):
        if of_kind := [reply for reply in replies if reply.line.kind == kind and reply.line.answer]:
            found[f"question without an answer: {kind}"] = _share(
                [reply.faults["question without an answer"] for reply in of_kind]
            )
    sure = [reply for reply in replies if reply.line.right and sure_errors(reply.heard, ())]
    found["errors that the rules found, not recast"] = _share([reply.faults["error not recast"] for reply in sure])
    found["without any fault"] = _share([not reply.found for reply in replies])
    found["turns that failed"] = _share([not reply.text for reply in replies])
    found["heard otherwise"] = _share([words(reply.heard) != words(reply.line.said) for reply in replies])
    found["median words of a reply"] = statistics.median(len(words(reply.text)) for reply in replies), len(replies)
    return found


def markdown(title: str, replies: Sequence[Reply], found: dict[str, tuple[float, int]]) -> str:
    """The figures and every reply."""
    rows = [f"## {title}", "", "| | | of |", "| --- | --- | --- |"]
    rows += [f"| {name} | {value:.2f} | {count} |" for name, (value, count) in found.items()]
    name = ""
    for reply in replies:
        if reply.conversation.name != name:
            name = reply.conversation.name
            rows += ["", f"### {name}", "", "| learner | tutor | faults |", "| --- | --- | --- |"]
        said = reply.line.said
        if words(reply.heard) != words(said):
            said += f"<br>heard: {reply.heard}"
        cells = (said, reply.text, ", ".join(reply.found))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
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


async def all_replies(of: Tutor, chosen: Sequence[Conversation]) -> list[Reply]:
    """One conversation after the other; the replies are shown as they come."""
    replies: list[Reply] = []
    for conversation in chosen:
        for reply in await converse(of, conversation):
            replies.append(reply)
            _say(f"[{conversation.level}] {reply.heard}\n     {reply.text}  {' | '.join(reply.found)}")
    return replies


async def run(args: argparse.Namespace) -> None:
    chosen = conversations(args.part)[: args.conversations]
    if args.url:
        of = Served(args.url, args.voice)
        await of.record(chosen)
    else:
        of = Typed(await tutor(_settings(args), **_changes(args)), args.planner)
    replies = await all_replies(of, chosen)
    found = figures(replies)
    for name, (value, count) in found.items():
        _say(f"{name:40} {value:6.2f}  of {count}")
    if args.save:
        alone = {"off": ", the model alone", "begun": ", without follow-ups"}.get(args.planner, "")
        title = args.title or f"{args.url or args.model.removeprefix('wheel:')}{alone}, {args.part.replace('-', ' ')}"
        save(args.save, markdown(title, replies, found))
    if args.sheet:
        sys.stdout.write(sheet(replies, args.sheet))


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(args, name) for name in ("seed", "temperature", "top_p", "repeat_penalty")}
    settings: dict[str, Any] = {"sampling": {name: value for name, value in given.items() if value is not None}}
    if args.prompt:
        settings["prompt"] = json.loads(args.prompt.read_text("utf-8"))
    return settings


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    both_cores = {"decode_threads": 2, "slots": 1}  # no voice beside it
    return {"model": args.model, "chat_template": "transcript" if args.transcript else "model", **both_cores}


def _share(values: Sequence[bool]) -> tuple[float, int]:
    return (sum(values) / len(values) if values else 0.0), len(values)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Conversations with the tutor, every reply checked.")
    parser.add_argument("--url", help="a running stack, instead of a model in this process")
    parser.add_argument("--voice", default="pm_alex", help="Kokoro's, that speaks to it")
    parser.add_argument(
        "--planner", choices=("on", "begun", "off"), default="on", help="without --url: what rules decide"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="without --url: a GGUF model")
    parser.add_argument("--transcript", action="store_true", help="the model is a base model without a chat template")
    parser.add_argument("--prompt", type=Path, help="without --url: a prompt file other than Parle's own")
    parser.add_argument("--part", choices=get_args(Part), default="development", help="blind2: nothing was tuned on it")
    parser.add_argument("--conversations", type=int, help="only so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--repeat-penalty", type=float)
    parser.add_argument("--save", type=Path, help="put all the replies into this file, below the part written by hand")
    parser.add_argument("--title", help="the heading there")
    parser.add_argument("--sheet", type=int, metavar="N", help="write N replies for a person to judge, to stdout")
    parser.add_argument("--agree", type=Path, metavar="SHEET", help="only compare a filled sheet with the checks")
    args = parser.parse_args()
    if args.agree:
        for name, value in agreement(args.agree).items():
            print(f"{name:60} {value:6.2f}")
        return
    asyncio.run(run(args))


if __name__ == "__main__":
    main()
