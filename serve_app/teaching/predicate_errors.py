"""What is said of a noun agrees with it: "a casa é bonita", "minha mãe fala", "as ruas são sujas"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from serve_app.teaching.correction import Correction, corrected, nouns, rule_data

_START = r"(?:^|[.,!?;:] ?|\b(?:mas|que|porque|então|hoje|ontem|agora|quando) )"
"""What may stand before a subject: after "e" it may be one of two, after a preposition it is none."""

_OWNERS = r"(?:meu|minha|meus|minhas|seu|sua|seus|suas|nosso|nossa|nossos|nossas)"
_ENDS = r"(?=[.,!?;]|$| (?:e|mas|porque|hoje|aqui|agora|demais|pra|para)\b)"
_ADJECTIVE = re.compile(
    rf"{_START}(?P<subject>(?:(?P<det>os?|as?|ess[ea]s?|est[ea]s?|outr[oa]s?|uma?|{_OWNERS}) )?(?:{_OWNERS} )?"
    r"(?P<noun>[^\W\d_]+)) "
    r"(?P<verb>é|está|era|estava|foi|ficou|parece|são|estão|eram|estavam|foram|parecem) "
    rf"(?:(?:muito|bem|tão|um pouco|bastante|mais|sempre|não|super) )?(?P<adjective>[^\W\d_]+){_ENDS}",
    re.IGNORECASE,
)
_SECOND = re.compile(r" (?:e|mas) (?:(?:muito|bem|tão) )?([^\W\d_]+)(?=[.,!?;]|$)", re.IGNORECASE)
_PLURAL_VERBS = ("são", "estão", "eram", "estavam", "foram", "parecem")
_GENDER = {"o": "o", "a": "a", "um": "o", "uma": "a", "meu": "o", "minha": "a", "seu": "o", "sua": "a"} | {
    "nosso": "o",
    "nossa": "a",
    "esse": "o",
    "essa": "a",
    "este": "o",
    "esta": "a",
    "outro": "o",
    "outra": "a",
}
_PRONOUNS = {"ele": ("o", False), "ela": ("a", False), "eles": ("o", True), "elas": ("a", True)}


def _adjective(text: str) -> Iterator[Correction]:
    for match in _ADJECTIVE.finditer(text):
        noun, many = match["noun"].lower(), match["verb"].lower() in _PLURAL_VERBS
        known = _PRONOUNS.get(noun) if match["det"] is None else nouns().get(noun)
        if known is None and many and noun.endswith("s") and (match["det"] or "").lower() in ("os", "as"):
            known = match["det"][:1].lower(), True  # "os brasileiros são"
        forms = _forms(match["adjective"].lower())
        if known is None or forms is None or known[1] != many or noun in ("gente", "parte", "maioria", "cor"):
            continue  # "a gente está cansado", "a maioria é pequeno"
        gender = known[0] or _GENDER.get((match["det"] or "").lower().rstrip("s"))
        if gender:
            better = forms[("o", "a").index(gender) + 2 * many]
            yield corrected(match, "adjective", better, "adjective", 0.85, noun=match["subject"].lower())
            second = _SECOND.match(text, match.end())
            others = _forms(second[1].lower()) if second else None
            if second and others:
                better = others[("o", "a").index(gender) + 2 * many]
                yield corrected(second, 1, better, "adjective", 0.85, noun=match["subject"].lower())


def _forms(word: str) -> tuple[str, str, str, str] | None:
    """Masculine, feminine, and both in the plural, of an adjective that has the form `word`."""
    adjectives = rule_data()["adjectives"]
    for same in adjectives["of both genders"]:
        if word in (same, many := f"{same[:-1]}is" if same.endswith("l") else f"{same}s"):
            return same, same, many, many
    for forms in adjectives["irregular"]:
        if word in forms:
            return tuple(forms)
    stem = re.sub("[oa]s?$", "", word)
    if f"{stem}o" in adjectives["in -o"] and stem != word:
        return f"{stem}o", f"{stem}a", f"{stem}os", f"{stem}as"
    return None


def _person(text: str) -> Iterator[Correction]:
    """ "Minha mãe falo": the verb in the form of "eu" after somebody else."""
    people = "|".join(rule_data()["people"])
    verbs = "|".join(form for form in rule_data()["ele"] if form not in ("vi", "vejo"))  # "minha avó vi pouco"
    for match in re.finditer(
        rf"{_START}(?P<subject>(?:[oa] )?(?:[oa]|{_OWNERS}) (?:{people})) "
        rf"(?:(?:não|também|já|nunca|sempre|só|ainda) )?(?P<verb>{verbs})\b",
        text,
        re.IGNORECASE,
    ):
        better = rule_data()["ele"][match["verb"].lower()]
        yield corrected(match, "verb", better, "person", 0.85, subject=match["subject"].lower())


PREDICATE_RULES = (_adjective, _person)
