"""Small rules that find tenses, moods and clitics in Portuguese words, each with its CEFR level.

They use endings, lemmas and a few neighbouring words. They look for a plausible reading and do not
parse: the input are transcripts without punctuation, of speakers who make errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


def word_set(words: str) -> frozenset[str]:
    """The words of a blank-separated list."""
    return frozenset(words.split())


PERFECT = word_set(
    "fui foi fomos foram fiz fez fizemos fizeram tive teve tivemos tiveram estive esteve estivemos "
    "estiveram vim veio viemos vieram pude pôde pudemos puderam quis quisemos quiseram soube soubemos "
    "souberam disse dissemos disseram dei deu demos deram vi viu viram trouxe trouxeram pus pôs puseram "
    "houve"
)
IMPERFECT = word_set("era eram éramos tinha tinham tínhamos vinha vinham punha punham ia iam íamos")
PRESENT_SUBJUNCTIVE = word_set(
    "seja sejam sejamos esteja estejam estejamos tenha tenham tenhamos haja hajam vá saiba saibam queira "
    "queiram possa possam possamos dê deem faça façam façamos traga tragam diga digam veja vejam venha "
    "venham ponha ponham"
)
FUTURE_SUBJUNCTIVE = word_set(
    "for forem formos tiver tiverem tivermos estiver estiverem fizer fizerem fizermos vier vierem puder "
    "puderem pudermos quiser quiserem souber souberem der derem disser disserem houver trouxer"
)
CONDITIONAL = word_set("faria fariam faríamos diria diriam diríamos traria trariam")
PLUPERFECT = word_set("fizera dissera tivera estivera viera pudera quisera soubera trouxera houvera")
NOT_A_VERB = word_set("verão vamos")  # "no verão", "vamos marcar"
# A present subjunctive counts only after one of these: alone it is an imperative ("fale devagar").
SUBJUNCTIVE_TRIGGERS = word_set("que talvez embora caso tomara quem quer onde conquanto quiçá")
SUBJECTS = word_set("eu você ele ela nós eles elas vocês a gente não me se o")
BETWEEN = word_set("me te se nos lhe já sempre nunca muito bem só ainda")  # "tinha me avisado"
CLITICS = word_set("se lhe lhes lo la los las o a os as no na nos nas me te")
SIMPLE_AUXILIARIES = word_set("tenho tem têm temos tinha tinham tínhamos")
BE_PAST = word_set("foi foram fui fomos ser sido será serão fosse fossem era eram")

_PARTICIPLE = re.compile(r"([aií]d|feit|dit|vist|post|scrit|abert|pag|ganh|vind|cobert|gast|aceit)(o|a|os|as)$")


@dataclass(frozen=True, slots=True)
class Token:
    """A word in lower case, its lemma, and whether a dictionary knows it."""

    text: str
    lemma: str
    known: bool


def tense(token: Token) -> str:
    """The tense or mood of a finite verb form, from its ending; an empty string if it is ambiguous."""
    word, lemma = token.text, token.lemma
    for name, forms in (
        ("perfect", PERFECT),
        ("imperfect", IMPERFECT),
        ("present subjunctive", PRESENT_SUBJUNCTIVE),
        ("future subjunctive", FUTURE_SUBJUNCTIVE),
        ("conditional", CONDITIONAL),
        ("pluperfect", PLUPERFECT),
    ):
        if word in forms:
            return name
    kind, stem = lemma[-2:], lemma[:-2]
    if kind not in ("ar", "er", "ir", "or", "ôr") or word in NOT_A_VERB or word == lemma:
        return ""
    if word in (lemma + "ia", lemma + "iam", lemma[:-1] + "ríamos"):
        return "conditional"
    if word in (lemma + "á", lemma + "ão", lemma + "emos"):
        return "future"
    if word.endswith(("sse", "ssem", "ssemos")) and word not in (stem + "e", stem + "em", stem + "emos"):
        return "imperfect subjunctive"
    if word in (stem + "ara", stem + "era", stem + "ira"):
        return "pluperfect"
    if kind == "ar":
        if word.endswith(("ava", "avam", "ávamos")):
            return "imperfect"
        if word.endswith(("ei", "ou", "aram")):
            return "perfect"
        return "present subjunctive" if word.endswith(("e", "em", "emos")) else ""
    if word.endswith(("ia", "iam", "íamos", "unha", "unham", "inha", "inham")):
        return "imperfect"
    if word.endswith(("eu", "iu", "eram", "iram")) or word in (stem + "i", stem + "í"):
        return "perfect"
    return "present subjunctive" if word.endswith(("a", "am", "amos")) else ""


def _of_verb(token: Token, before: Sequence[str]) -> Iterator[tuple[str, float]]:
    """The construct that a finite verb form makes, given the words before it, and its level."""
    match tense(token):
        case "perfect" | "imperfect":
            yield "past", 1.0
        case "future":
            yield "future", 2.0
        case "conditional":
            yield "conditional", 2.0
        case "future subjunctive":
            yield "subjunctive", 2.0
        case "present subjunctive":
            if SUBJUNCTIVE_TRIGGERS.intersection(before) or token.text.endswith("mos"):
                yield "subjunctive", 2.4
        case "imperfect subjunctive":
            inverted = not before or before == ["não"]  # "houvesse um mínimo de decoro, ..."
            yield "subjunctive", 4.0 if inverted else 2.6
        case "pluperfect":
            yield "simple pluperfect", 4.0


def _of_infinitive(token: Token, before: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Future subjunctives and personal infinitives, which have the form of infinitives."""
    if token.lemma[-1] != "r" or token.text not in (token.lemma, token.lemma + "em", token.lemma + "mos"):
        return
    clause = [word for word in before[-3:] if word not in SUBJECTS]
    if clause in (["quando"], ["assim", "que"], ["logo", "que"]) or (not clause and "se" in before[-3:]):
        yield "subjunctive", 2.0  # "quando eu chegar", "se não chover"
    if before[-2:] == ["para", "eu"]:
        yield "personal infinitive", 2.0
    elif token.text != token.lemma and before:
        yield "personal infinitive", 3.0


def _of_pair(token: Token, after: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Compound tenses, the passive, and clitics behind or inside the verb."""
    following = after[1:] if after and after[0] in BETWEEN else after
    if following and _PARTICIPLE.search(following[0]):
        if token.lemma in ("ter", "haver"):
            yield "compound", 2.0 if token.text in SIMPLE_AUXILIARIES else 3.0
        if token.text in BE_PAST:
            yield "passive", 2.0
    parts = token.text.split("-")
    if len(parts) in (2, 3) and parts[1] in CLITICS:
        yield "clitic", 3.5 if len(parts) == 2 else 5.0  # the longer is mesoclisis: "dir-se-ia"


def constructs(words: Sequence[Token]) -> dict[str, float]:
    """The constructs found, by name, each with the level (A1 = 0 .. C2 = 5) at which it is first expected."""
    found: dict[str, float] = {}
    texts = [word.text for word in words]
    for i, token in enumerate(words):
        before = texts[max(0, i - 7) : i]
        for name, level in (
            *_of_verb(token, before),
            *_of_infinitive(token, before),
            *_of_pair(token, texts[i + 1 : i + 3]),
        ):
            found[name] = max(level, found.get(name, 0.0))
    return found
