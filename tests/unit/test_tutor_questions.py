"""How many questions of learners the tutor answers from data, without a model: `bench/data/tutor_questions.json`."""

from __future__ import annotations

import json
import re

from support.paths import ROOT

from bench.tutor_checks import statements
from serve_app.teaching.plan import Said
from serve_app.teaching.planner import plan

QUESTIONS = json.loads((ROOT / "bench/data/tutor_questions.json").read_text("utf-8"))
EARLIER = (
    "Eu me chamo Hans e moro na Tijuca há três anos.",
    "Minha filha se chama Clara.",
    "Meu exame é na sexta.",
    "Amanhã eu vou ao dentista.",
)


def test_most_questions_are_answered_from_data() -> None:
    unanswered = []
    for line in QUESTIONS:
        said = line["said"]
        made = plan(Said(said, said, "A2", ("Sim, entendo. Onde você trabalha?",), EARLIER), follow_ups=True)
        told = statements(made.begin.removeprefix(made.opening))
        if made.kind != line["kind"] and not (line["answer"] and re.search(line["answer"], told, re.IGNORECASE)):
            unanswered.append(f"{said} => {made.begin}")
    assert len(QUESTIONS) >= 110
    assert len(unanswered) <= 0.1 * len(QUESTIONS), unanswered
