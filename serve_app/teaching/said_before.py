"""Finds what the learner said earlier and asks about now: "Em que cidade eu moro?" after "Eu moro em Porto Alegre"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wordfreq import zipf_frequency

from serve_app.teaching.error_rules import find_errors, mended
from serve_app.teaching.second_person import said_back, sentences

_WORD = re.compile(r"[^\W\d_]+")
_ABOUT_LEARNER = re.compile(
    r"\b(eu|meus?|minhas?|comigo|me cham\w+|nós|nos|noss[oa]s?|a gente|mim|conosco)\b", re.IGNORECASE
)
_ASKS_TUTOR = re.compile(
    r"\b(?:você|a senhora) (?:pode|poderia|quer|sabe|conhece|acha|gosta|tem|já)\b"
    r"|\b(?:podes|podias|queres|sabes|conheces|achas|gostas)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b(?:chama\w*|nome)\b", re.IGNORECASE)
_WHERE = re.compile(r"\b(?:cidade|bairro|país|onde)\b", re.IGNORECASE)
_LIVES = re.compile(
    r"\b(?:mor(?:o|ar|ando|amos)|viv(?:o|er|emos)|mud(?:ei|ar|amos))\b[^.]*\b(?:em|no|na|para(?: o| a)?) [A-ZÀ-Ú]"
)
"""Where somebody lives, with its name."""

_SPOKEN_OF = re.compile(r"\beu (?:falei|disse|contei|mencionei)\b", re.IGNORECASE)
_COMES_FROM = re.compile(r"\b(?:de que|de qual|de onde)\b.*\beu (?:sou|venho)\b", re.IGNORECASE)
_FROM = re.compile(r"\b(?:sou|soy|venho) d[aeo]s? [A-ZÀ-Ú]")
_LIVING = re.compile(r"\b(?:mor|viv)(?:o|ava|ia|ando|endo|amos|emos)\b", re.IGNORECASE)

_CALLED = re.compile(r", (?:o |a )?[A-ZÀ-Ú][a-zà-ú]+,")
"""A name beside what it belongs to: "O mais velho, o Théo, está na idade"."""

_OWN_NAME = re.compile(r"\bmeu nome\b|\bcomo (?:eu )?me chamo\b|\bquem (?:eu )?sou\b", re.IGNORECASE)
_MY_NAME = re.compile(r"\b(?:(?i:me chamo|meu nome é|eu sou|sou|aqui é)(?: [oa])?) [A-ZÀ-Ú]")
_OWN = re.compile(r"\b(?:meus?|minhas?) ([a-zà-ú]{3,})", re.IGNORECASE)
_HEAD = re.compile(
    r"\b(?:em que|de que|que|qual é (?:mesmo )?o|qual é (?:mesmo )?a|qual) ([a-zà-ú]{4,})\b", re.IGNORECASE
)
_HOW_MANY = re.compile(r"\bquant[oa]s?\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"\d|\b(?:dois|duas|três|quatro|cinco|seis|sete|oito|nove|dez|onze|doze|treze|quatorze|catorze|quinze|vinte"
    r"|trinta|quarenta|cinquenta|sessenta|setenta|oitenta|noventa|cem|cento|mil|meia|metade)\b",
    re.IGNORECASE,
)

_WHO = re.compile(r"\bquem (?:é|era|foi) (?:o|a|meu|minha|o meu|a minha) (\w+)", re.IGNORECASE)
_NAMED = re.compile(r"[\wà-ú,] [A-ZÀ-Ú][a-zà-ú]{2,}")
_ASKS_BACK = re.compile(r"\s*(?:você|né|não é|certo|sabe|viu|conhece|já)\b", re.IGNORECASE)
"""A question that is only put after a statement."""

SHORTEST_TOLD = 3
"""Words of the shortest statement before such a question."""

_FREQUENT = 6.0
"""Zipf frequency of words that say nothing about the subject ("de", "em", "como")."""

_ASKING = ("lembrar", "saber", "dizer", "mesmo", "falar", "chamar", "nome", "qual", "quem", "quando", "onde", "quanto")
"""They count less: most questions have one."""


def answer_from(question: str, utterances: Sequence[str]) -> str:
    """What the learner said about it, to the learner ("Você mora em Porto Alegre"); "" where nothing fits.

    The latest sentence that shares most words with the question, if the question is about the learner.
    """
    question = _asked(question)
    if not _ABOUT_LEARNER.search(question) or _ASKS_TUTOR.search(question):
        return ""
    if _OWN_NAME.search(question):
        return next((_quoted(part) for said in utterances for part in _told(said) if _MY_NAME.search(part)), "")
    wanted = _subjects(question)
    where = _WHERE.search(question) is not None
    best, best_score = "", 0.0
    for number, sentence in enumerate(part for said in utterances for part in _told(said)):
        said_words = _subjects(sentence)
        shared = {word for word in wanted if any(_same_word(word, other) for other in said_words)}
        telling = sum(0.4 if any(_same_word(word, asking) for asking in _ASKING) else 1.0 for word in shared)
        if where and (_names_a_place(sentence, shared) or (_LIVES.search(sentence) and _LIVING.search(question))):
            telling += 1
        if (
            (who := _WHO.search(question))
            and _NAMED.search(sentence)
            and any(_same_word(who[1], one) for one in shared)
        ):
            telling += 3  # more than the words shared with what else was told of it
        introduced = any(re.search(rf"\b(?:um|uma|uns|umas) {word}", sentence, re.IGNORECASE) for word in shared)
        telling += _fits_the_question(question, sentence, said_words)
        score = telling + number * 1e-3 + 0.3 * introduced
        if telling >= 1 and score > best_score:
            right = mended(sentence, find_errors(sentence))
            back = said_back(right)
            told = back.text if back.whole else _quoted(sentence)
            if _about(question, told if back.whole else sentence, telling):
                best, best_score = told, score
    if not best and _COMES_FROM.search(question):
        best = next((_quoted(part) for said in utterances for part in _told(said) if _FROM.search(part)), "")
    if best:
        return best
    named = [part for said in utterances for part in _told(said) if _NAMED.search(part)]
    if _SPOKEN_OF.search(question):
        return _quoted(named[-1]) if named else ""
    called = [part for part in named if _NAME.search(part)] if _NAME.search(question) else []
    return _quoted(called[-1]) if called else ""


def _asked(utterance: str) -> str:
    """What is asked in an utterance, without what is told beside it; all of it where nothing has a question mark."""
    asked = [sentence for sentence in re.split(r"(?<=[.!?…])\s+", utterance) if sentence.rstrip("\"' ”’").endswith("?")]
    return " ".join(asked) or utterance


def _fits_the_question(question: str, sentence: str, said: set[str]) -> float:
    """More where the sentence holds what is asked for: the floor for "em que andar", a number for "quantos"."""
    if asked := _HEAD.search(question):
        return 1.0 if any(_same_word(asked[1].lower(), word) for word in said) else 0.0
    if _HOW_MANY.search(question):
        one = re.search(r"\b(?:um|uma)\b", sentence, re.IGNORECASE)
        return 1.0 if _NUMBER.search(sentence) else 0.2 if one else -0.6
    return 0.0


def _quoted(sentence: str) -> str:
    right = mended(sentence, find_errors(sentence))
    return f'Você disse: "{right.strip(" .!,")}"'


def _told(utterance: str) -> list[str]:
    """What was told in an utterance, without what was asked: of "Ele se chama Ruy, você conhece?" the first half."""
    told = []
    for sentence in sentences(utterance):
        if sentence.rstrip().endswith("?"):
            statement, comma, asked = sentence.rpartition(",")
            if not comma or not _ASKS_BACK.match(asked) or len(statement.split()) < SHORTEST_TOLD:
                continue
            sentence = statement
        told.append(sentence)
    return told


def _names_a_place(sentence: str, verbs: set[str]) -> bool:
    """Whether one of the words is followed by a place: "trabalho numa loja"."""
    places = "em|no|na|nos|nas|num|numa|para|ao"
    words = [word for word in _WORD.findall(sentence.lower()) if any(_same_word(word, verb) for verb in verbs)]
    return any(re.search(rf"\b{word} (?:{places})\b", sentence, re.IGNORECASE) for word in words)


def _about(question: str, answer: str, telling: float) -> bool:
    """A question for a name needs one; any other must be about the learner: not "your husband works" for "my work"."""
    own = _OWN.search(question)
    if _NAME.search(question):
        if own and re.search(rf"\b{own[1]} [A-ZÀ-Ú]", answer):  # "nosso cachorro Bobik"
            return True
        return _NAME.search(answer) is not None or (telling >= 1 and _CALLED.search(answer) is not None)
    if own and re.search(rf"\b(?:seus?|suas?|meus?|minhas?) {own[1]}", answer, re.IGNORECASE):
        return True
    return telling >= 2 or re.search(r"\b(?:vocês?|eu|me|nós|a gente)\b", answer, re.IGNORECASE) is not None


def _subjects(text: str) -> set[str]:
    """The words that tell what a text is about."""
    words = (word.lower() for word in _WORD.findall(text))
    names = {name.lower() for name in re.findall(r"(?<=\w )[A-ZÀ-Ú][a-zà-ú]{2,}", text)}
    return names | {word for word in words if len(word) > 2 and zipf_frequency(word, "pt") < _FREQUENT}


def _same_word(one: str, other: str) -> bool:
    """Whether they may be forms of one word: "moro" and "morava", "autor" and "autores", not "filme" and "filho"."""
    shorter = min(len(one), len(other))
    alike = max(3, shorter - (2 if shorter > 5 else 1))
    return one[:alike] == other[:alike]
