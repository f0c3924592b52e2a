"""Keep what the tests had to say: copy the recordings that Kokoro made for them to tests/data/speech.

    make test && python scripts/keep_speech.py

A test of a new sentence works without: it is said once a clone, two seconds of a core for one of speech.
"""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAID = ROOT / ".pytest_cache/d/speech"
KEPT = ROOT / "tests/data/speech"


def main() -> None:
    KEPT.mkdir(exist_ok=True)
    new = [path for path in sorted(SAID.glob("*.ogg")) if not (KEPT / path.name).exists()]
    for path in new:
        shutil.copyfile(path, KEPT / path.name)
        print(path.name)
    print(f"{len(new)} recordings kept in {KEPT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
