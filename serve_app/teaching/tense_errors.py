"""Verbs in the wrong tense: "ontem eu vou", "semana passada tenho visto", "se eu terei", "quando eu volte"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from serve_app.teaching.correction import Correction, corrected, rule_data
from serve_app.teaching.verb_tenses import conjugate
from serve_app.teaching.verbs import is_infinitive, likely_verb, third_person
from serve_app.teaching.word_forms import forms

_WORD = r"[a-zà-ú]+"
_OWNERS = r"(?:meu|minha|meus|minhas|nosso|nossa|seu|sua|o|a|os|as)"
_PLACES = {"eu": 0, "você": 1, "ele": 1, "ela": 1, "a gente": 1, "nós": 2, "vocês": 3, "eles": 3, "elas": 3}
"""The place of a person in a list of four forms, see `serve_app.teaching.verb_tenses.PERSONS`."""

_SUBJECT = rf"(?P<subject>eu|você|ele|ela|a gente|nós|vocês|eles|elas|{_OWNERS} [a-zà-ú]+)"
_YESTERDAY = (
    r"(?:(?:ontem|anteontem)(?: (?:à noite|a noite|de noite|de manhã|à tarde|de tarde))?"
    r"|(?:n[ao] |a |o )?(?:semana|mês|ano|verão|inverno|domingo|sábado|sexta|segunda|terça|quarta|quinta)(?:-feira)?"
    r" passad[oa])"
)
_THINKING = frozenset(
    ("acho", "sei", "lembro", "penso", "creio", "digo", "imagino", "como", "gosto", "quero", "espero")
)
"""What is thought now of yesterday; "como" may be "like"."""

_FOOD = re.compile(r" (?:um|uma|o|a|os|as|muit[oa]|pizza|carne|peixe|arroz|pão|salada|frango|bolo|sopa|feijoada)\b")
IRREGULAR_PARTICIPLES = {
    "feito": "fazer",
    "visto": "ver",
    "dito": "dizer",
    "escrito": "escrever",
    "posto": "pôr",
    "ido": "ir",
} | {"aberto": "abrir", "vindo": "vir", "ganho": "ganhar", "gasto": "gastar", "pago": "pagar", "coberto": "cobrir"}
_ASKED = re.compile(
    r"\b(?:sei|sabe|sabia|saber|sabemos|pergunt\w+|dúvidas?|ver|imagin\w+|descobr\w+|decid\w+|depende|dizer|disse)\b[^,.]*$"
    r"|^\W*(?:e )?$",
    re.IGNORECASE,
)
"""An indirect question before "se" or "quando", or a question that begins with it: there the future is right."""


def _place(subject: str) -> int:
    """Of the person in the four forms, for a pronoun or "o meu", "os alunos"."""
    return _PLACES.get(subject, 3 if subject.split()[0].endswith("s") else 1)


def _infinitive(word: str, place: int) -> str | None:
    """The verb that has this form in the present."""
    for verb in forms().verbs:
        present = conjugate(verb, "present")
        if present is not None and present[place] == word:
            return verb
    ending = {0: ("o", ("ar", "er", "ir")), 2: ("mos", ("r",)), 3: ("m", ("r",))}.get(place)
    if place == 0 and word.endswith("o") and (third := third_person(word)):
        return (
            likely_verb(third[:-1] + "ar") if third.endswith("a") else likely_verb(third[:-1] + "er", third[:-1] + "ir")
        )
    if place == 1 and word.endswith(("a", "e")):
        endings = ("ar",) if word.endswith("a") else ("er", "ir")
        likely = likely_verb(*(word[:-1] + other for other in ("ar", "er", "ir")))
        return likely if likely is not None and likely[-2:] in endings else None
    if ending and place in (2, 3) and word.endswith(ending[0]):
        return None  # "falamos" is past as well
    return None


def _yesterday(text: str) -> Iterator[Correction]:
    """ "Ontem eu vou no mercado": what happened then is told in the past."""
    who = r"(?P<subject>eu|ele|ela|a gente|(?:meu|minha|o|a) [a-zà-ú]+)"
    for match in re.finditer(
        rf"(?:^|[.!?,] |\be |\bmas )({_YESTERDAY}),? {who} (?:(?:não|também|só|já) )?"
        rf"(?P<verb>{_WORD})\b(?! (?:que|ido|indo|feito|visto|dito|escrito|{_WORD}[ai]do)\b)",
        text,
        re.IGNORECASE,
    ):
        subject, word = match["subject"].lower(), match["verb"].lower()
        if word in _THINKING and not (word == "como" and _FOOD.match(text, match.end())):
            continue
        place = _place(subject)
        verb = _infinitive(word, place)
        if verb is None or (place and " " in subject and subject != "a gente" and verb not in forms().verbs):
            continue
        if word in ("é", "sou", "está", "estou"):  # how it was, rather than what happened
            yield corrected(match, "verb", "era" if verb == "ser" else "estava", "past", 0.85)
            continue
        past = conjugate(verb, "past")
        if past is not None and past[place] != word:
            yield corrected(match, "verb", past[place], "past", 0.85)


def _childhood(text: str) -> Iterator[Correction]:
    """ "Quando eu era criança, eu moro": how it used to be."""
    for match in re.finditer(
        r"\bquando eu (?:era (?:criança|pequen[oa]|jovem|adolescente|menin[oa])|tinha \w+ anos),? eu "
        rf"(?:não |sempre )?({_WORD})\b",
        text,
        re.IGNORECASE,
    ):
        verb = _infinitive(match[1].lower(), 0)
        imperfect = conjugate(verb, "imperfect") if verb else None
        if imperfect and match[1].lower() not in _THINKING:
            yield corrected(match, 1, imperfect[0], "past", 0.85)


def _perfect(text: str) -> Iterator[Correction]:
    """ "Semana passada eu tenho encontrado": as in German and Italian."""
    have = {"tenho": 0, "tem": 1, "temos": 2, "têm": 3}
    for match in re.finditer(
        rf"\b(?:{'|'.join(have)}) (?:(?:já|não|sempre|também) )?"
        rf"({_WORD}(?:ado|ido)|{'|'.join(IRREGULAR_PARTICIPLES)})\b",
        text,
        re.IGNORECASE,
    ):
        sentence = re.split(r"[.!?]", text[: match.start()])[-1] + re.split(r"[.!?;]", text[match.end() :])[0]
        if not re.search(rf"\b{_YESTERDAY}\b", sentence, re.IGNORECASE) or re.search("desde", sentence, re.IGNORECASE):
            continue
        participle, words = match[1].lower(), match[0].split()
        stem = participle[:-3]
        verb = IRREGULAR_PARTICIPLES.get(participle) or (
            stem + "ar" if participle.endswith("ado") else likely_verb(stem + "er", stem + "ir")
        )
        past = conjugate(verb, "past") if verb and is_infinitive(verb) else None
        if past is not None:
            yield corrected(match, 0, " ".join([*words[1:-1], past[have[words[0].lower()]]]), "past")


def _future_subjunctive(text: str) -> Iterator[Correction]:
    """ "Se eu terei tempo", "quando eu volte", "assim que eu saber"."""
    when = r"(?P<when>se|quando|assim que|logo que|enquanto|sempre que|depois que)"
    for match in re.finditer(
        rf"\b{when} {_SUBJECT} (?:(?:não|já|me|te|se) ){{0,2}}(?P<verb>{_WORD})\b", text, re.IGNORECASE
    ):
        word, before = match["verb"].lower(), text[: match.start()]
        if _ASKED.search(before) and (before.strip() or text[match.end() :].rstrip().endswith("?")):
            continue
        place = _place(match["subject"].lower())
        verb = _of_future(word) or _of_irregular_infinitive(word) or _of_subjunctive(word)
        past = conjugate(verb, "past") if verb else None
        if (
            verb is None
            or past is None
            or (match["when"].lower() == "se" and _of_subjunctive(word) and not _of_future(word))
        ):
            continue
        kept = verb.removesuffix("ter") if verb in ("manter", "obter", "conter") else ""
        stem = f"{kept}tiver" if kept else past[3].removesuffix("am")
        better = stem + {2: "mos", 3: "em"}.get(place, "")
        if better != word:
            yield corrected(match, "verb", better, "if", 0.85, trigger=match["when"].lower())


def _of_future(word: str) -> str | None:
    irregular = {
        "farei": "fazer",
        "fará": "fazer",
        "direi": "dizer",
        "dirá": "dizer",
        "trarei": "trazer",
        "trará": "trazer",
    }
    for ending in ("ei", "á", "emos", "ão"):
        stem = word.removesuffix(ending)
        if word.endswith(ending) and stem.endswith(("ar", "er", "ir", "or")) and is_infinitive(stem):
            return stem
    return irregular.get(word)


def _of_irregular_infinitive(word: str) -> str | None:
    verbs = (
        "ter",
        "manter",
        "obter",
        "conter",
        "ser",
        "estar",
        "ir",
        "poder",
        "querer",
        "saber",
        "dizer",
        "trazer",
        "fazer",
    )
    return word if word in verbs else None


def _of_subjunctive(word: str) -> str | None:
    """The verb of a form of the present subjunctive that can be nothing else: "volte", "tenha", not "come"."""
    for verb in forms().verbs:
        subjunctive = conjugate(verb, "subjunctive")
        present = conjugate(verb, "present")
        if subjunctive and present and word in subjunctive and word not in present and word not in ("vamos", "vão"):
            return verb
    many = word.endswith("m")
    stem, vowel = (word[:-2], word[-2:-1]) if many else (word[:-1], word[-1:])
    if vowel != "e" or len(stem) < 3:
        return None
    stem = re.sub("qu$", "c", re.sub("gu$", "g", stem))
    likely = likely_verb(*(stem + verb for verb in ("ar", "er", "ir")))
    return likely if likely is not None and likely.endswith("ar") else None


def _perception(text: str) -> Iterator[Correction]:
    """ "Eu ouvi ela cantou": an infinitive follows."""
    for match in re.finditer(
        rf"\b(?:vi|ouvi|viu|ouviu|vimos|ouvimos) (?:ele|ela|eles|elas) ({_WORD}(?:ou|eu|iu))\b", text, re.IGNORECASE
    ):
        word = match[1].lower()
        infinitive = word[:-2] + {"ou": "ar", "eu": "er", "iu": "ir"}[word[-2:]]
        if is_infinitive(infinitive):
            yield corrected(match, 1, infinitive, "infinitive")


def _unreal(text: str) -> Iterator[Correction]:
    """ "Se os partidos tinham ouvido, a situação seria outra"."""
    past = {
        form: better
        for form, better in rule_data()["imperfect subjunctive"].items()
        if form.endswith(("nha", "era", "ava"))
    }
    past |= {
        "tinham": "tivessem",
        "tínhamos": "tivéssemos",
        "eram": "fossem",
        "estavam": "estivessem",
        "podiam": "pudessem",
    }
    for match in re.finditer(
        rf"\bse (?:(?:o|a|os|as|meus?|minhas?|nosso|nossa|eu|você|ele|ela|eles|elas|a gente|nós) )(?:{_WORD} ){{0,3}}?"
        rf"(?P<verb>{'|'.join(past)})\b(?P<rest>[^.!?;]*)",
        text,
        re.IGNORECASE,
    ):
        then = match["rest"].partition(",")[2]
        would = re.search(r"\b[a-zà-ú]{2,}(?:ria|riam|ríamos)\b", then, re.IGNORECASE)
        if would and not _ASKED.search(text[: match.start()] or "x"):
            yield corrected(match, "verb", past[match["verb"].lower()], "if", 0.85)


TENSE_RULES = (_yesterday, _childhood, _perfect, _future_subjunctive, _perception, _unreal)
