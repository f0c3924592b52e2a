"""How the error rules do on labelled utterances: precision and recall, by rule.

    python -m bench.correction [--file tests/data/learner_errors.json]

The file is a list of {"said": utterance, "better": [what is right, for each error]}, right utterances with []; or of
{"said": utterance, "right": all of it right}, as in bench/data/learner_sentences.json, which was written without a look
at the rules, and tests/data/learner_errors_spoken.json: an utterance that comes out otherwise counts as wrong, one left
as it is as missed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from serve_app.teaching.error_rules import find_errors, mended

LABELLED = Path(__file__).parent.parent / "tests/data/learner_errors.json"


def score(labelled: list[dict[str, Any]]) -> dict[str, Any]:
    """A correction counts as right if its text is one of those that the label has."""
    right, wrong, missed = Counter[str](), list[str](), list[str]()
    for line in labelled:
        if "right" in line:
            errors = find_errors(line["said"])
            whole = mended(line["said"], errors)
            if not errors and whole != line["right"]:
                missed.append(f"{line['said']} -> {line['right']}")
            elif errors and whole == line["right"]:
                right[errors[0].rule] += 1
            elif errors:
                wrong.append(f"{line['said']} -> {whole}")
            continue
        wanted = Counter(text.strip().lower() for text in line["better"])
        for found in find_errors(line["said"]):
            text = found.better.strip().lower()
            if wanted[text]:
                wanted[text] -= 1
                right[found.rule] += 1
            else:
                wrong.append(f"{line['said']} -> {found.better}")
        missed += [f"{line['said']} -> {text}" for text in wanted.elements()]
    hits = right.total()
    return {
        "utterances": len(labelled),
        "precision": round(hits / max(1, hits + len(wrong)), 3),
        "recall": round(hits / max(1, hits + len(missed)), 3),
        "by_rule": dict(right),
        "wrong": wrong,
        "missed": missed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Precision and recall of the error rules.")
    parser.add_argument("--file", type=Path, default=LABELLED)
    print(json.dumps(score(json.loads(parser.parse_args().file.read_text("utf-8"))), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
