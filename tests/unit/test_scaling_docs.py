"""docs/scaling.md and docs/startup.md hold what the data files say; starts are read as `parle serve` prints them."""

from __future__ import annotations

import re

import pytest

from bench.startup import replicas, split, steps
from scripts import figures, scaling_tables

PRINTED = """\
   8.1 s  Ray is up
  11.0 s  Serve is up
  14.5 s  CefrClassifier is up
  19.9 s  TutorLLM is up
  20.4 s  Ingress is up

ready in 20.6 s at http://127.0.0.1:8000

  logs     /tmp/ray/session/logs/serve
"""


@pytest.mark.parametrize(("file", "marker"), sorted(figures.scaling()))
def test_a_table_in_the_docs_is_the_one_of_the_data_file(file: str, marker: str):
    text = (figures.ROOT / file).read_text("utf-8")
    found = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", text, re.DOTALL)
    assert found is not None
    assert found[1].strip() == figures.scaling()[file, marker].strip()


def test_the_parts_of_a_start_add_up_to_ready():
    said = steps(PRINTED)
    assert said["ready"] == 20.6
    parts = split(said, 0.1, 2.0)
    assert parts["ray"] == pytest.approx(6.0)
    assert parts["last stage up (weights, warm-up)"] == pytest.approx(20.4 - 14.5)
    assert sum(parts.values()) == pytest.approx(20.6)


def test_a_replica_is_timed_from_its_first_line_to_its_constructors_end(tmp_path):
    line = '{{"timestamp_ns": {}, "message": "{}", "deployment": "TutorLLM"}}\n'
    path = tmp_path / "replica_parle_TutorLLM_x.log"
    path.write_text(
        line.format(10**9, "loading") + "no JSON\n" + line.format(4 * 10**9, "Finished initializing replica.")
    )
    assert replicas(tmp_path) == {"TutorLLM": 3.0}


def test_what_is_further_off_than_promised_is_bold():
    row = {"talkers": 2, "turns": 9, "p50_s": 1.0, "simulated_p50_s": 1.1, "p50_off": 0.1}
    row |= {"p95_s": 2.0, "simulated_p95_s": 1.5, "p95_off": -0.25, "waited_s": {"stt": 0.1, "tts": 0.2}}
    told = scaling_tables.validation({"bound": 0.2, "rows": [row]})
    assert "| +10 % |" in told
    assert "**-25 %**" in told
    assert "| tts, 200 ms |" in told
