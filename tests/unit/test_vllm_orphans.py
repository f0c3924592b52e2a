"""vLLM's process when the replica that started it is killed: without this it would keep the card's memory."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import psutil

from serve_app.engines.llm import vllm_orphans

REPLICA = """
import multiprocessing, time
from serve_app.engines.llm import vllm_orphans

def engine():
    vllm_orphans.register()
    vllm_orphans.register()
    time.sleep(600)

if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=engine)
    process.start()
    print(process.pid, flush=True)
    time.sleep(600)
"""


def test_the_engines_process_ends_when_its_replica_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", REPLICA], stdout=subprocess.PIPE, text=True) as replica:
        assert replica.stdout is not None
        engine = psutil.Process(int(replica.stdout.readline()))
        replica.kill()
    psutil.wait_procs([engine], 60)
    assert not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE


def test_vllm_finds_it_as_a_plugin() -> None:
    found = importlib.metadata.entry_points(group="vllm.general_plugins")
    assert [plugin.load() for plugin in found if plugin.name == "parle_orphans"] == [vllm_orphans.register]
