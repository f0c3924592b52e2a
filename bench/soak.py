"""Eight talkers on a real server whose processes are killed and stopped at random: does it keep its promises?

    python -m bench.soak                             # the CPU stack, 50 faults, about 20 minutes
    python -m bench.soak --minutes 6 --faults 12 --stack quick
    python -m bench.soak --stack configs/local_stack.yaml --seed 7 --save soak.json

Half of the talkers use SSE, half the WebSocket, each with sentences, a session and an API key of its own. A fault is a
SIGKILL, or a SIGSTOP for 10 to 40 s, of a stage's replica, an engine's process, the Ingress, Serve's proxy or
controller, or Ray's dashboard agent. Wrong is:

- a turn without exactly one `complete` or `error`, or a closed connection, within its limit;
- another talker's words in it; a conversation that is not kept as it was;
- a next turn that comes later than 15 s after a fault plus what a turn takes under this load;
- processes at rest that have grown, temporary files that stay.

Then the exit code is 1, and the folder with the server's output and Ray's logs stays. Ctrl-C ends it early and prints
what there is.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import psutil
import yaml

from serve_app.config.store import URL_VARIABLE
from serve_app.errors import StackError
from serve_app.launch import child_process

from .server import STACK, STOP_S
from .soak_run import Soak
from .soak_table import figures, table
from .soak_talkers import TALKERS

MINUTES, FAULTS = 20.0, 50
QUICK = "quick"
QUIET_S = 180.0
"""Of the minutes: the start, the turns without faults, and those after the last one."""


def stack_file(name: str, folder: Path) -> Path:
    """`quick` is the CPU stack with a language model of eight times the speed; else the name of a file."""
    if name != QUICK:
        return Path(name)
    stack = yaml.safe_load(STACK.read_text("utf-8"))
    llm = stack["applications"][0]["args"]["llm"]
    llm.update(model="wheel:gemma-3-270m", chat_template="transcript", context_tokens=2048)
    path = folder / "quick_stack.yaml"
    path.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    return path


def soaked(options: argparse.Namespace, folder: Path) -> Soak:
    """The whole run; what is wrong is in it."""
    keys = [secrets.token_hex(16) for _ in range(TALKERS + 1)]
    temporary = folder / "tmp"
    temporary.mkdir()
    os.environ |= {
        "PARLE_API_KEYS": ",".join(f"talker-{number}:{key}" for number, key in enumerate(keys)),
        "RAY_TMPDIR": str(folder),
        "TMPDIR": str(temporary),
        "XDG_DATA_HOME": str(folder / "data"),
    }
    os.environ.pop(URL_VARIABLE, None)
    stack = stack_file(options.stack, folder)
    with child_process.serving(stack, folder / "terminal.log", "--verbose", stop_s=STOP_S) as (process, url):
        soak = Soak(url, psutil.Process(process.pid), temporary, keys)
        whole = False
        try:
            soak.warm_up()
            print(f"{soak.clock():6.0f} s  a turn takes at most {soak.loaded_s:.0f} s without faults", flush=True)
            soak.hit(options.seed, options.faults, max(30.0, 60 * options.minutes - QUIET_S))
            soak.afterwards()
            whole = True
        except KeyboardInterrupt:
            print("ended early")
        except StackError as error:
            soak.wrong.append(str(error))
        soak.judge(whole=whole)
        return soak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="about; faults strike in all but three of them")
    parser.add_argument("--faults", type=int, default=FAULTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stack", default=str(STACK), metavar="FILE", help="a stack, or `quick`: a faster model")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures as JSON")
    options = parser.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # a stopped server answers no ping: that is the test
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))  # short, as Ray's sockets lie below it
    try:
        soak = soaked(options, folder)
    except KeyboardInterrupt:
        print("ended before the server was ready")
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    except StackError as error:
        print("\n".join([*getattr(error, "__notes__", ()), str(error)]))
        return 1
    shown = figures(soak)
    print(table(shown))
    for why in soak.wrong:
        print(f"WRONG {why}")
    if options.save:
        about = {"stack": options.stack, "seed": options.seed, "minutes": options.minutes}
        options.save.write_text(json.dumps(about | shown, ensure_ascii=False, indent=1) + "\n", "utf-8")
    if soak.wrong:
        print(f"{len(soak.wrong)} promises were not kept; the server's output is in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
