"""What `parle check` asks of the Ingress: where its replicas may be, given the store, and when they end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.config.stack import HEAD_NODE, StackArgs
from serve_app.config.store import kind_of

PINNED = f'resources: {{"{HEAD_NODE}": 0.001}}'


def has_several(deployment: dict[str, Any]) -> bool:
    """Whether a deployment may have more than one replica."""
    return any(deployment.get(key) not in (None, 1) for key in ("num_replicas", "autoscaling_config"))


def faults(
    deployment: dict[str, Any], args: StackArgs | None, environment: Mapping[str, str] = os.environ
) -> Iterator[tuple[str, str]]:
    """The key and what is wrong with it, for an Ingress that would split or lose conversations, or be killed early."""
    settings = deployment.get("user_config")
    limits = settings.get("limits") if isinstance(settings, dict) else None
    if args is not None and isinstance(limits, dict) and (why := args.limits.longer_stop(limits)):
        yield "user_config", why
    kind = None if args is None else kind_of(args.store, environment)
    if kind == "memory":
        for key in ("num_replicas", "autoscaling_config"):
            if deployment.get(key) not in (None, 1):
                yield key, "each Ingress would know other conversations: with store.url: memory only one is possible"
    options = deployment.get("ray_actor_options")
    if not isinstance(options, dict) or kind is None or HEAD_NODE in (options.get("resources") or {}):
        return
    if kind == "memory":
        what = f"replaces all options of the Ingress: repeat {PINNED}, or the conversations may die with another node"
        yield "ray_actor_options", what
    elif kind == "sqlite":
        yield (
            "ray_actor_options",
            f"replaces all options of the Ingress: repeat {PINNED}, since a SQLite file is on one node; replicas on "
            "several nodes need store.url: postgresql",
        )
