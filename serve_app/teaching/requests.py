"""What a learner asks the tutor to do: ask something, correct, change the subject, tell a joke, teach a word ...

A request has one of a few forms ("pode", "queria que você", an imperative) around an act with an object; the act
decides the answer. Small models evade such requests, or say them back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from serve_app.package_data import data_file
from serve_app.teaching.openings import fresh
from serve_app.teaching.spoken_signs import spelt
from serve_app.teaching.word_answer import fold, plain_quotes
from serve_app.teaching.word_forms import article

LONGEST = 200
"""Characters of an utterance that are looked at."""

Told = Literal["joke", "curiosity", "story", "word", "expression", "slang"]

_ASKED = (
    r"(?:\b(?:pode|podes|podia|poderia|consegue|dá pra|dá para|vamos|podemos|você|"
    r"(?:queria|quero|gostaria|prefiro) (?:de )?que(?: você)?)\b[\w ,]{0,14}?|(?:^|[.!?,] ?)\W*(?:(?:por favor|então|"
    r"agora|lia|professora|oi|olá|mas|e|ok|bom)[\s,!]+)*)"
)
"""What comes before the act: a polite verb, or nothing where it is an imperative. Not "eu quero contar"."""


def _act(pattern: str) -> re.Pattern[str]:
    return re.compile(_ASKED + rf"(?:me )?(?:{pattern})", re.IGNORECASE)


_ASK_ME = _act(
    r"(?:fa(?:z|ça|zer)|fizesse|pergunt(?:a|e|ar)) (?:pra mim |para mim )?"
    r"(?:(?:mais |só |outra |uma |umas |algumas |duas |três )+pergunta?s?|alguma coisa|algo\b)"
    r"|pergunt(?:a|e|ar) (?:mais|algo)"
)
_CORRECT_ME = _act(
    r"corri(?:ge|ja|gir|gisse|gindo)\b(?! (?:o texto|a frase|isto|isso))|avis(?:a|e|ar) (?:\w+ ){0,4}(?:err\w+)"
)
_OTHER_TOPIC = _act(
    r"(?:mud(?:a|e|ar)|troc(?:a|ar)) (?:de |o )?(?:assunto|tema)"
    r"|(?:fal(?:a|ar)|convers(?:a|ar)) (?:de|sobre) outr[ao]\b"
)
_ON_TOPIC = re.compile(
    r"\b(?:vamos|podemos|bora|quero|queria|gostaria de|a gente pode|dá para|dá pra) (?:fal|convers)ar "
    r"(?:um pouco |mais )?(?:com você )?(?:de|do|da|dos|das|sobre) "
    r"(?P<topic>(?!.*\bcom (?:o|a|os|as|meus?|minhas?|el[ea]s?)\b).+)",
    re.IGNORECASE,
)
_TELL = _act(r"(?:cont(?:a|e|ar)|diz|diga|dizer|fal(?:a|e|ar)|sab(?:e|es)) (?P<what>.+)")
_TEACH = _act(r"ensin(?:a|e|ar)(?P<what> .+)")
_LEARN = re.compile(r"\b(?:quero|queria|gostaria de) (?:aprender|ouvir|saber|conhecer) (?P<what>.+)", re.IGNORECASE)
_ABOUT = re.compile(r"\b(?:de|do|da|dos|das|sobre) \w{3,}", re.IGNORECASE)
_SPELL = _act(r"soletr(?:a|e|ar) (?:pra mim |para mim )?(?:(?:a palavra|o nome|o verbo) )?\"?(?P<word>[\w-]+)\"?")
_KINDS: tuple[tuple[Told, str], ...] = (
    ("joke", r"\bpiadas?\b|\b(?:algo|coisa) engraçad[oa]\b"),
    ("curiosity", r"\bcuriosidades?\b|\b(?:algo|alguma coisa|um fato) (?:interessante|curios[oa])"),
    ("story", r"\b(?:hist[oó]ri(?:a|nha)s?|contos?)\b(?! d[oae]s? )"),
    ("slang", r"\bgírias?\b"),
    ("expression", r"\bexpress(?:ão|ões)\b|\bditados?\b|\bfrases? (?:típica|comum|útil|do dia)"),
    ("word", r"\b(?:palavras?|vocabulário)\b(?! d[oae]s? )"),
)
_ORIGIN = re.compile(
    r"\b(?:de onde (?:é que )?(?:vem|veio|surgiu)|(?:origem|etimologia) d[aeo])"
    r"(?: (?:a|o|esta|essa))? ?(?:(?:palavra|termo|nome|expressão|verbo) )?\"?(?P<word>[\w-]+)\"?\W*$",
    re.IGNORECASE,
)
_SMALLER = re.compile(
    r"\bdiminutivo d[aeo](?:s)? ?(?:(?:palavra|nome|substantivo) )?\"?(?P<word>[\w-]{3,})\"?\W*(?:por favor)?\W*$",
    re.IGNORECASE,
)

_QUESTIONS: dict[Told, str] = {
    "joke": "Você conhece uma piada na sua língua?",
    "curiosity": "Você já sabia disso?",
    "story": "O que você achou da história?",
    "word": "Você consegue usar essa palavra numa frase?",
    "expression": "Existe algo parecido na sua língua?",
    "slang": "Onde você já ouviu gírias?",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What the tutor says to a request; "" where it asks for what is not known.

    `then`: the question after it is on the topic of the request, a new one, or `question`.
    """

    text: str
    then: Literal["topic", "new", "question"] = "topic"
    question: str = ""


def requested(utterance: str, replies: Sequence[str] = ()) -> Request | None:
    """The tutor's answer to a request; None where it is none that is known.

    `replies` are the earlier ones, so that nothing is told twice.
    """
    text = plain_quotes(utterance.strip()[-LONGEST:])
    if (found := _ORIGIN.search(text)) is not None:
        return _origin(found["word"])
    if (found := _SMALLER.search(text)) is not None:
        return _diminutive(found["word"].lower())
    if (found := _SPELL.search(text)) is not None:
        word = found["word"].lower()
        return Request(f'A gente escreve "{word}" assim: {spelt(word)}.', "question", _QUESTIONS["word"])
    if _OTHER_TOPIC.search(text):
        return Request("Vamos mudar de assunto, então.", "new")
    if (found := _ASK_ME.search(text)) is not None:
        return Request("Claro, vamos lá.", "topic" if _ABOUT.search(text[found.end() :]) else "new")
    if _CORRECT_ME.search(text):
        return Request("Pode deixar. Quando eu ouvir um erro, eu digo a frase certa.", "new")
    for form in (_LEARN, _TEACH, _TELL):
        if (found := form.search(text)) is not None and (told := _told(found["what"], replies)) is not None:
            return told
    if (found := _ON_TOPIC.search(text)) is not None and not fold(found["topic"]).startswith(("mim", "voce", "isso")):
        return Request("Claro, vamos falar disso.")
    return None


def _told(what: str, replies: Sequence[str]) -> Request | None:
    kind: Told | None = next((name for name, sign in _KINDS if re.search(sign, what, re.IGNORECASE)), None)
    if kind is None:
        return None
    return Request(fresh(_data()[kind], replies, lately=len(replies)), "question", _QUESTIONS[kind])


def _origin(word: str) -> Request:
    """Of a word whose origin is not known here nothing is said: a model would invent one."""
    origins: dict[str, str] = _data()["origin"]
    by_fold = {fold(name): name for name in origins}
    name = by_fold.get(fold(word)) or by_fold.get(fold(word).removesuffix("s"))
    if name is None:
        return Request("")
    return Request(f'"{name.capitalize()}" vem {origins[name]}.', "question", "De que outra palavra você quer saber?")


def _diminutive(word: str) -> Request:
    """-inho and -inha after a vowel that falls, else -zinho and -zinha by the gender of the noun."""
    small = None
    if re.search(r"[bdfglmnprstvjx][ao]$|[cç][ao]$", word):
        stem = {"ç": "c"}.get(word[-2], word[-2])
        stem = {"c": "qu", "g": "gu"}.get(word[-2], stem)
        small = f"{word[:-2]}{stem}inh{word[-1]}"
    elif (gender := article(word)) is not None:
        bare = word.translate(str.maketrans("áéíóúâêô", "aeiouaeo"))
        bare = f"{bare[:-1]}n" if bare.endswith("m") else bare
        small = f"{bare}zinh{gender}"
    if small is None:
        return Request("")
    return Request(f'O diminutivo de "{word}" é "{small}".', "question", _QUESTIONS["word"])


@cache
def _data() -> dict[str, Any]:
    return json.loads(data_file("teaching/requests.json").read_text("utf-8"))
