"""How a measured process is asked: recordings come in over stdin, for each a line of JSON goes out.

Imports nothing of Parle: the process may run in an environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def answer(turn: Callable[[bytes], dict[str, Any]], forget: Callable[[], None]) -> None:
    """Answer recordings until stdin ends. The first one warms the models up, and is forgotten.

    `turn` returns fields of bench.server.Heard, its times counted from its call.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # some libraries print
    warm = False
    while length := sys.stdin.buffer.readline():
        heard = turn(sys.stdin.buffer.read(int(length)))
        if not warm:
            forget()
            warm = True
        print(json.dumps(heard), file=answers, flush=True)
