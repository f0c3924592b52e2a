"""A simulated learner over twenty lessons: are errors brought back when due, noticed when right, and then gone?

    python -m bench.learner [--docs docs/learners.md]

The learner has fixed errors and forgets by a curve: the chance to say a form right is exp(-days / strength) since it
was practised last, and each time the strength grows. An invitation by the tutor makes the learner use the form; without
one, they use it now and then. What is measured is Parle's own bookkeeping and planner: text only, in process, on a
clock of its own. A simulation is no learner: it says nothing of how well people learn.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serve_app.learner.learning import Heard, learned
from serve_app.learner.model import Learner
from serve_app.teaching.error_rules import find_errors, mended
from serve_app.teaching.memory import NOTHING, Due, Memory
from serve_app.teaching.plan import Said
from serve_app.teaching.planner import plan

DAY = 86400.0
BEGIN = 1_700_000_000.0
LESSONS = 20
EVERY_DAYS = 2.0
TURNS = 10
LEARNERS = 20
OFFERED = 5
USES = 0.06
"""Chance that an uninvited turn uses one of the forms at all."""
GAIN = 2.0
"""How much longer a form is remembered after each time it was put right, or was right."""

ERRORS = (
    ("gosto", "Eu gosto de café.", "Eu gosta de café."),
    ("fui", "Ontem eu fui ao cinema.", "Ontem eu vai ao cinema."),
    ("a viagem", "A viagem foi boa.", "O viagem foi boa."),
    ("vamos", "Nós vamos ao parque.", "Nós vai ao parque."),
    ("eles são", "Eles são legais.", "Eles é legais."),
    ("comi", "Ontem eu comi pizza.", "Ontem eu como pizza."),
    ("muitos amigos", "Eu tenho muitos amigos.", "Eu tenho muito amigos."),
    ("venha", "Eu quero que você venha.", "Eu quero que você vem."),
)
"""What is right, and a sentence with it and with the error."""
OTHERS = (
    "Hoje o tempo está bom.",
    "Meu irmão trabalha numa loja.",
    "A comida daqui é muito boa.",
    "Minha casa é pequena.",
    "O ônibus demora muito.",
    "A minha rua é tranquila.",
)


@dataclass
class Pupil:
    """Someone who forgets. `practised`: {form: (when last, strength in days)}."""

    chance: random.Random
    practised: dict[str, tuple[float, float]] = field(default_factory=dict)

    def says(self, form: str, now: float) -> bool:
        """Whether it comes out right; either way it was practised: the tutor puts an error right."""
        last, strength = self.practised.get(form, (now, 0.0))
        right = strength > 0 and self.chance.random() < math.exp(-(now - last) / DAY / strength)
        self.practised[form] = (now, strength * GAIN if strength else 2.0)
        return right


@dataclass
class Figures:
    due: int = 0
    """Items that were due at the begin of a lesson."""
    invited: int = 0
    """Of them those that the tutor brought back in it."""
    right: int = 0
    """Invited forms that came out right."""
    noticed: int = 0
    """Of the forms that were due and right those that the tutor said so of."""
    due_and_right: int = 0
    left: int = 0
    """Of those that were due and right those that were still due after the lesson."""
    uses: int = 0
    uses_late: int = 0
    right_late: int = 0
    """In the last five lessons, how often the forms were used, and were right."""


def lessons(seed: int, figures: Figures, *, memory: bool) -> None:
    """Twenty lessons of one learner."""
    pupil = Pupil(random.Random(seed))
    learner: Learner | None = None
    for lesson in range(LESSONS):
        begin = BEGIN + lesson * EVERY_DAYS * DAY
        due = {item.use for item in learner.due(begin)} if learner else set()
        figures.due += len(due)
        invited: set[str] = set()
        right: set[str] = set()
        replies: list[str] = []
        wanted: str | None = None
        for turn in range(TURNS):
            now = begin + turn * 30.0
            form = wanted
            if form is None and (lesson == 0 and turn < len(ERRORS)):
                form = ERRORS[turn][0]
            elif form is None and pupil.chance.random() < USES:
                form = pupil.chance.choice(ERRORS)[0]
            text = pupil.chance.choice(OTHERS)
            if form is not None:
                good = pupil.says(form, now)
                text = next(one[1] if good else one[2] for one in ERRORS if one[0] == form)
                figures.uses += 1
                if lesson >= LESSONS - 5:
                    figures.uses_late += 1
                    figures.right_late += good
                figures.right += good and wanted is not None
                if good and form in due:
                    right.add(form)
            reply, learner, recalled = answer(f"{lesson}.{turn}", now, text, learner, replies, memory=memory)
            figures.noticed += sum(use in due and f'Isso, "{use}"!' in reply for use in recalled)
            wanted = invitation(reply, due - invited)
            if wanted:
                invited.add(wanted)
        figures.invited += len(invited)
        figures.due_and_right += len(right)
        assert learner is not None
        figures.left += len(right & {item.use for item in learner.due(begin + TURNS * 30.0)})


def answer(
    turn: str, now: float, text: str, learner: Learner | None, replies: list[str], *, memory: bool
) -> tuple[str, Learner, tuple[str, ...]]:
    """One turn as the server plans it: the reply, the learner after it, and what was recalled."""
    errors = find_errors(text)
    after, news = learned(learner, Heard(turn, now, text, tuple(errors), level="A2"))
    known = NOTHING
    if memory and learner is not None:
        before = learner.due(now)
        left = [item for item in before if item.use not in (*news.recalled, *news.lapsed)]
        known = Memory(
            tuple(Due(item.use, item.said, item.better, item.sentence) for item in left[:OFFERED]),
            tuple(item.use for item in before if item.use in news.recalled),
        )
    error = errors[0] if errors else None
    made = plan(Said(text, mended(text, errors), "A2", tuple(replies), error=error, memory=known), follow_ups=True)
    replies.append(made.begin)
    return made.begin, after, news.recalled


def invitation(reply: str, due: set[str]) -> str | None:
    """The due form that the reply invites: it names it, or what the learner told with it."""
    if "Você se lembra" not in reply and "Outro dia" not in reply:
        return None
    asked = reply[max(reply.find("Você se lembra"), reply.find("Outro dia")) :].lower()
    signs = {form: (form.split()[-1], *right.lower().rstrip(".").split()[-1:]) for form, right, _ in ERRORS}
    return next((form for form in signs if form in due and any(sign in asked for sign in signs[form])), None)


def measured() -> dict[str, Figures]:
    found = {"on": Figures(), "off": Figures()}
    for name, figures in found.items():
        for seed in range(LEARNERS):
            lessons(seed, figures, memory=name == "on")
    return found


def table(found: dict[str, Figures]) -> str:
    def share(part: int, whole: int) -> str:
        return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "0 of 0"

    rows: list[tuple[str, Callable[[Figures], str]]] = [
        ("Due at the begin of a lesson, brought back in it", lambda f: share(f.invited, f.due)),
        ("Due and said right, noticed aloud", lambda f: share(f.noticed, f.due_and_right)),
        ("Due and said right, then gone from the list", lambda f: share(f.due_and_right - f.left, f.due_and_right)),
        ("Times that the forms were used", lambda f: str(f.uses)),
        ("Right in the last five lessons", lambda f: share(f.right_late, f.uses_late)),
    ]
    lines = ["| | memory on | memory off |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {of(found['on'])} | {of(found['off'])} |" for name, of in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--docs", type=Path, help="write the table between its markers in this file")
    arguments = parser.parse_args()
    made = table(measured())
    print(made)
    if arguments.docs:
        text = arguments.docs.read_text("utf-8")
        head, _, rest = text.partition("<!-- simulated -->")
        _, _, tail = rest.partition("<!-- /simulated -->")
        arguments.docs.write_text(f"{head}<!-- simulated -->\n{made}\n<!-- /simulated -->{tail}", "utf-8")


if __name__ == "__main__":
    main()
