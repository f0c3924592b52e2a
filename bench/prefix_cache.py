"""What of a conversation the LLM need not read again, with one replica and with two.

Learners take turns, each in a conversation of its own, as on a server. With two replicas, Ray by itself sends a turn to
whichever has less to do; Parle sends it to the one that has read the conversation (serve_app.llm.KEEPING_REPLICA).
Runs on the CPU with Gemma 3 270M through llama.cpp; counts tokens, which do not depend on how busy the machine is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.serve.config import RequestRouterConfig

from serve_app.config.stack import LlamaCppConfig
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.llm import KEEPING_REPLICA, TutorLLM
from serve_app.protocols import Usage
from serve_app.replicas.handles import RemoteTutorLLM

from .tutor_conversations import Conversation, conversations

LEARNERS = 6
TURNS = 5
REPLY_TOKENS = 40
PAUSE_S = 1.0
"""Longest pause before a learner speaks: so that they do not come in the same order every time."""
MODEL = LlamaCppConfig(
    engine="llama-cpp",
    model="wheel:gemma-3-270m",
    chat_template="transcript",
    context_tokens=2048,
    slots=LEARNERS,
    threads=1,
)


@dataclass(frozen=True, slots=True)
class Read:
    """Tokens of the prompts of every learner's last turn after what all begin with, and how many a cache held."""

    prompt: int
    cached: int

    @property
    def share(self) -> float:
        return self.cached / self.prompt


async def talk(llm: RemoteTutorLLM, learner: Conversation) -> list[Usage]:
    """One learner's turns; what the LLM says of each prompt."""
    pauses = random.Random(learner.name)
    history: list[Exchange] = []
    counted: list[Usage] = []
    for line in learner.lines[:TURNS]:
        request = TutorRequest(line.said, learner.level, tuple(history), REPLY_TOKENS, conversation_id=learner.name)
        reply = ""
        await asyncio.sleep(pauses.uniform(0, PAUSE_S))
        async with aclosing(llm.reply(request)) as items:
            async for item in items:
                if isinstance(item, Usage):
                    counted.append(item)
                else:
                    reply += item.text
        history.append(Exchange(line.said, reply.strip() or "Sim.", learner.level))
    return counted


async def measured(name: str, replicas: int, router: RequestRouterConfig) -> Read:
    """`name` is the application's: a process keeps the router that it first used for one."""
    deployment: Any = TutorLLM
    graph = deployment.options(num_replicas=replicas, request_router_config=router, user_config={}).bind(MODEL)
    handle = await asyncio.to_thread(serve.run, graph, name=name, route_prefix=None)
    learners = conversations("development")[:LEARNERS]
    try:
        said = await asyncio.gather(*(talk(RemoteTutorLLM(handle), learner) for learner in learners))
    finally:
        await asyncio.to_thread(serve.delete, name)
    shared = min(counted[0].cached_tokens for counted in said)  # the tutor's prompt, which every replica has read
    last = [counted[-1] for counted in said]
    return Read(
        sum(usage.prompt_tokens - shared for usage in last), sum(max(0, usage.cached_tokens - shared) for usage in last)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures as JSON")
    arguments = parser.parse_args()
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=200_000_000, log_to_driver=False)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    ways = {
        "one replica": (1, KEEPING_REPLICA),
        "two, as Ray chooses": (2, RequestRouterConfig()),
        "two, each conversation kept": (2, KEEPING_REPLICA),
    }
    figures: dict[str, dict[str, float]] = {}
    try:
        for name, (replicas, router) in ways.items():
            read = asyncio.run(measured(name, replicas, router))
            figures[name] = {"prompt_tokens": read.prompt, "cached_tokens": read.cached, "cached": round(read.share, 3)}
            print(f"{name:28} {read.cached} of {read.prompt} tokens were cached at turn {TURNS}: {read.share:.2f}")
    finally:
        serve.shutdown()
        ray.shutdown()
    if arguments.save:
        arguments.save.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
