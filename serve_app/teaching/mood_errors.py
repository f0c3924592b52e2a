"""Finds the indicative where the subjunctive is right: "espero que você tem", "se eu teria"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from serve_app.teaching.correction import Correction, corrected, nouns, rule_data
from serve_app.teaching.verb_tenses import conjugate
from serve_app.teaching.verbs import is_infinitive, likely_verb
from serve_app.teaching.word_forms import forms

_WORD = r"[a-zà-ú]+"


def _subjunctive(text: str) -> Iterator[Correction]:
    now, past = rule_data()["subjunctive"], rule_data()["imperfect subjunctive"]
    important = "importante|preciso|necessário|melhor|possível|bom|pena|crucial|essencial|fundamental"
    wanting = "quer|queremos|querem|espera|esperamos|gosto|gosta|gostamos|prefere|preferimos|pede|pedem|sugiro|deseja"
    insisting = r"(?:exig[eo]|exijo|permite|permito|deix[ao]|(?:tenho|tem) medo(?: de)?|basta|fico feliz)"
    wish = (
        rf"(?:espero|quero|desejo|tomara|duvido|prefiro|peço|preciso|precisar|{wanting}|{insisting}"
        rf"|conseguir|(?:me )?surpreend(?:e|eu)|é (?:{important}|incrível|ótimo|normal|estranho|(?:uma )?pena)) que"
    )
    wished = (
        r"(?:queria|esperava|gostaria|duvidava|pediu|pedi|pediram|exigi(?:u|ram)|quis|quiseram|preferia"
        r"|era (?:importante|preciso)) que"
    )
    subject = r"(?:[a-zà-ú]+ ){0,4}?"
    for trigger, table in (
        (wish, now),
        (r"embora|talvez|caso|não é que|ainda que|(?<!o )(?<!a )mesmo que|a menos que|a não ser que|contanto que", now),
        (wished, past | rule_data()["wished"]),
    ):
        verbs = "|".join(table)
        for match in re.finditer(rf"\b({trigger}) {subject}({verbs})\b", text, re.IGNORECASE):
            if not _NEW_CLAUSE.search(_between(match)):
                yield corrected(match, 2, table[match[2].lower()], "subjunctive", trigger=match[1].lower())
    someone = (
        r"(?:eu|você|ele|ela|nós|alguém|ninguém|todo mundo|eles|elas|vocês"
        r"|(?:o|a|os|as|meu|minha|meus|minhas) [a-zà-ú]+)"
    )
    wishes = rf"{wish}|caso|talvez|embora|ainda que|para que"
    for match in re.finditer(
        rf"\b({wishes}) (?:(?:um dia|amanhã|hoje|logo) )?(?:{someone} )(?:(?:não|me|te|se|já) ){{0,2}}({_WORD})\b",
        text,
        re.IGNORECASE,
    ):
        word = match[2].lower()
        after_pronoun = re.search(r"\b(?:eu|você|el[ea]s?|nós)\b", _between(match), re.IGNORECASE) is not None
        if word not in now and (after_pronoun or word not in nouns()) and (better := _present_subjunctive(word)):
            yield corrected(match, 2, better, "subjunctive", trigger=match[1].lower())
    for match in re.finditer(
        rf"\b({wished}) {someone} (?:(?:não|me|te|se|já) ){{0,2}}({_WORD})\b", text, re.IGNORECASE
    ):
        word = match[2].lower()
        if word not in past and word not in rule_data()["wished"] and (better := _imperfect_subjunctive(word)):
            yield corrected(match, 2, better, "subjunctive", trigger=match[1].lower())


_NEW_CLAUSE = re.compile(r"\b(?:que|quando|se|e|mas|porque)\b")


def _between(match: re.Match[str]) -> str:
    """What stands between the trigger and the verb."""
    return match[0][len(match[1]) : match.start(2) - match.start()]


def _regular_subjunctive(word: str) -> str | None:
    """ "Apareça" for "aparece", "votem" for "votam"; None if the word is no such form of a frequent regular verb."""
    if word.endswith(("amos", "emos", "imos")):
        verb = f"{word[:-3]}r"
        frequent = likely_verb(verb) and word not in ("vamos", "temos", "somos", "estamos", "sejamos")
        ours = conjugate(verb, "subjunctive") if frequent else None
        return ours[2] if ours else None
    many = word.endswith("m")
    stem, vowel = (word[:-2], word[-2:-1]) if many else (word[:-1], word[-1:])
    verbs = {"a": ("ar",), "e": ("er", "ir"), "o": ("ar",)}.get(vowel, ())
    likely = likely_verb(*(stem + verb for verb in ("ar", "er", "ir")))
    if len(stem) < 3 or likely is None or likely[-2:] not in verbs:
        return None
    if likely.endswith("ar"):
        stem = {"c": f"{stem[:-1]}qu", "g": f"{stem}u", "ç": f"{stem[:-1]}c"}.get(stem[-1], stem)
        return f"{stem}e{'m' * many}"
    stem = {"c": f"{stem[:-1]}ç", "g": f"{stem[:-1]}j"}.get(stem[-1], stem)
    return f"{stem}a{'m' * many}"


def _present_subjunctive(word: str) -> str | None:
    """ "Sinta" for "sinto", of irregular verbs too."""
    for verb in forms().verbs:
        present, subjunctive = conjugate(verb, "present"), conjugate(verb, "subjunctive")
        if present and subjunctive and word in present and word not in subjunctive:
            return subjunctive[present.index(word)]
    return _regular_subjunctive(word)


def _imperfect_subjunctive(word: str) -> str | None:
    """ "Fosse" for "seja" or "é", "entregasse" for "entrego" or "entregue": after a wish in the past."""
    for verb in forms().verbs:
        present, subjunctive, past = (conjugate(verb, tense) for tense in ("present", "subjunctive", "past"))
        for known in filter(None, (present, subjunctive)):
            if past is not None and word in known and word not in past:
                return past[3].removesuffix("ram") + ("ssem" if known.index(word) == 3 else "sse")
    for ending, verbs in (("ava", ("ar",)), ("ia", ("er", "ir"))):
        stem = word.removesuffix(ending)
        if word.endswith(ending) and (verb := likely_verb(*(stem + other for other in verbs))):
            return f"{verb[:-1]}sse"
    many = word.endswith("m")
    stem, vowel = (word[:-2], word[-2:-1]) if many else (word[:-1], word[-1:])
    if vowel not in ("o", "a", "e") or len(stem) < 3 or word in nouns():
        return None
    spelt = re.sub("qu$", "c", re.sub("gu$", "g", stem)) if vowel == "e" else stem
    likely = likely_verb(*(spelt + verb for verb in ("ar", "er", "ir")))
    if likely is None or (vowel == "a" and likely[-2:] != "ar"):
        return None
    return f"{likely[:-1]}sse{'m' * many}"


def _if(text: str) -> Iterator[Correction]:
    table = rule_data()["imperfect subjunctive"]
    irregular = "|".join(form for form in table if form.endswith("ria"))
    known = re.compile(r"\b(?:sei|sabe|sabia|saber|perguntou|pergunto|perguntei|dúvida|ver)\b[^,.]*$", re.IGNORECASE)
    who = r"eu|você|ele|ela|a gente|nós|(?:a |o )?(?:meu|minha|o|a) [a-zà-ú]+"
    for match in re.finditer(
        rf"\bse ({who}) (?:não )?({irregular}|[a-zà-ú]+ria)\b",
        text,
        re.IGNORECASE,
    ):
        if known.search(text[: match.start()]):
            continue
        word = match[2].lower()
        better = table.get(word) or (
            word[:-3] + "sse" if re.search("[aei]ria$", word) and is_infinitive(word[:-2]) else None
        )
        if better:
            yield corrected(match, 2, better, "if")
    imperfect = "|".join(form for form in table if not form.endswith("ria") and form.endswith("a"))
    for match in re.finditer(rf"\bse (eu|você|ele|ela|a gente) (?:não )?({imperfect})\b", text, re.IGNORECASE):
        then = text[match.end() :]  # "se eu ia, ele ficava" tells what used to happen
        if (
            match[2].lower() != "ia"
            and not known.search(text[: match.start()])
            and re.search(r",.*\b\w+(?:ria|ava|ia)\b", then)
        ):
            yield corrected(match, 2, table[match[2].lower()], "if", 0.8)


MOOD_RULES = (_subjunctive, _if)
