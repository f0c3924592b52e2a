"""The question that a reply ends with, from a list by topic (`serve_app/data/teaching/topics.json`).

A small model asks "O que mais gostaria de saber?" after everything. These questions fit whatever is said on their
topic, and their sound can be kept. Where no topic is recognised, the tense of what was said decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from pydantic import TypeAdapter

from serve_app.package_data import data_file
from serve_app.teaching.plan import OPINION
from serve_app.teaching.utterance_kind import Kind
from serve_app.teaching.verbs import third_person

Mood = Literal["good", "bad", "any"]
Special = Literal["word", "unknown_word", "asked", "opined", "fact", "advised", "recommended", "not_known", "recalled"]
"""The tutor explained a word, did not know one, said something of herself, or gave an opinion, told a fact, gave advice
or recommended something."""

SHORT = 4
"""An utterance of so many words or fewer ("Não sei.") goes on with the topic before."""

LATELY = 4
"""A question does not begin with the first word of one of so many questions before, as far as there are others."""

_MOODS: dict[str, tuple[Mood, ...]] = {"grave": ("bad",), "sad": ("bad",), "glad": ("good", "any")}
_FUTURE = re.compile(
    r"\b(?:vou|vai|vamos|vão|amanhã|próxim[oa]s?|(?<!não )quero|(?<!não )queremos|pretendo|\w+r(?:ei|á|emos|ão))\b"
)
_PAST = re.compile(
    r"\b(?:ontem|anteontem|passad[oa]s?|era|eram|estava|tinha|foi|fui|fomos|foram|fiz|fez|tive|teve|vim|veio|vi|viu"
    r"|(?!sei|rei|lei|terei|serei|estarei|irei|farei|direi|poderei|verei|vou)\w{2,}ei|\w{2,}(?:ou|aram|eram|iram|iu)|\w{2,}[bcdfgjlmnrtvz]eu)\b"
)
_COMPANY = re.compile(r"\bcom (?:(?:o|a|os|as) )?(?:meu|minha|meus|minhas|uns|umas|um|uma) \w+")
"""Who was there is not what it was about: "cozinhei com meus amigos"."""

_WHEN = re.compile(
    r"\b(?:n[ao]s?|até(?: [ao])?|para|neste|nesse|este|todo|toda|d[ao]|desde [ao]|durante [ao]) (?:\w+ )?"
    r"(?:verão|inverno|outono|primavera|domingos?|sábados?|sextas?(?:-feira)?|fim de semana|manhã|natal|carnaval"
    r"|páscoa)\b"
)
"""Nor is the time of it: "no verão eu trabalhei numa fazenda"."""

_OTHER = re.compile(
    r"^\W*(?:(?:e|mas|hoje|ontem|agora|então|sim|não)[\s,]+)*(?:o |a )?"
    r"(?:(?:meu|o|nosso|esse) (?P<he>irmão|pai|avô|filho|tio|primo|marido|namorado|noivo|amigo|vizinho|colega|chefe"
    r"|professor|sogro|cunhado|sobrinho|neto)|(?:minha|a|nossa|essa) (?P<she>irmã|mãe|avó|filha|tia|prima|mulher|esposa"
    r"|namorada|noiva|amiga|vizinha|colega|chefe|professora|sogra|cunhada|sobrinha|neta))\b"
    r"(?! e (?:eu|meu|minha|[oa])\b)"
)
"""What is told of one other person."""

_TO_LEARNER = re.compile(r"\b(?:você|seu|sua|seus|suas)\b", re.IGNORECASE)
_SELF = re.compile(r"\b(?:eu|nós|a gente|comigo|mim|me|conosco)\b", re.IGNORECASE)


def _pairs(rows: tuple[tuple[str, str], ...]) -> tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]:
    """For each row the pattern of a question, and that of what was said."""
    return tuple((re.compile(asks, re.IGNORECASE), re.compile(said, re.IGNORECASE)) for asks, said in rows)


_TOLD = _pairs(
    (
        (r"como é a sua casa", r"\bcasa (?:é|tem|fica)\b"),
        (r"quando (?:isso )?começou|há quanto tempo isso", r"\b(?:ontem|passad[oa]|hoje|há|faz|desde|atrás)\b"),
        (r"há quanto tempo|desde quando", r"\b(?:há|faz|desde) (?:\w+ ){0,2}(?:anos?|m[eê]s|meses|semanas?|dias?)\b"),
        (r"onde (?:você|eles|a sua família) mora", r"\bmor(?:o|a|am|amos) (?:\w+ )?(?:em|no|na|aqui)\b"),
        (r"quem mora com você", r"\bmoro (?:[\w ]+ )?(?:com|sozinh[oa])\b"),
        (r"quantos anos", r"\b(?:tem|tenho|têm|fez|faz) [\w ]+ anos?\b"),
        (
            r"com quem|quem (?:estava|mora)",
            r"\bcom (?:o |a |os |as )?(?:meu|minha|meus|minhas|um|uma|uns)\b|\bsozinh[oa]\b",
        ),
        (
            r"seu trabalho|você trabalha|vai para o trabalho",
            r"\b(?:não tenho|sem|perdi o) (?:trabalho|emprego)\b|aposentad",
        ),
        (r"quando (?:foi|vai)", r"\b(?:ontem|amanhã|passad[oa]|hoje|que vem|no (?:sábado|domingo))\b"),
        (
            r"onde (?:foi|vai|isso)",
            r"\b(?:no|na|em) (?:parque|trem|ônibus|rua|praia|metrô|centro|restaurante|escola)\b",
        ),
    )
)
"""What a question asks for, and the words that say it."""

_NEEDS = _pairs(
    (
        (r"comprou|foi caro|para quem é", r"\bcompr(?:ei|ou|amos|aram)\b"),
        (
            r"como foi a viagem|onde você ficou|viaja de novo|você mais gostou|foi a primeira vez",
            r"\b(?:fui|fomos|foi|estive|\w{2,}(?:ei|amos|emos|imos|ou|eu|iu))\b",
        ),
        (r"fazer compras|pela internet", r"\b(?:compr\w+|lojas?|mercado|feira|roupas?|preços?|presentes?)\b"),
        (r"você relaxa|descansar|faz bem", r"\b(?:eu|estou|tenho|minha|meu|dormir|estresse|dieta|exercício)\b"),
        (r"com eles", r"\b(?:filh[oa]s?|crianças|net[oa]s?)\b"),
        (r"da história|personagem|recomendaria", r"\b(?:livro|filme|romance|série|novela|história|peça)s?\b"),
        (r"os clientes|vende mais|horas abre", r"\b(?:loja|padaria|restaurante|negócio|cliente|vendas?|vend\w+)s?\b"),
        (r"curso|professores|as aulas", r"\b(?:curso|faculdade|universidade|aula|mestrado|doutorado|estud\w+)s?\b"),
        (
            r"o trabalho\?|seu trabalho|dia normal|trabalho lá|você trabalha|esse trabalho",
            r"\b(?:meu|nosso|no|o|do) (?:trabalho|emprego|chefe)|\bminha chefe|\btrabalh(?:o|ei|amos|ava|ando)\b"
            r"|\b(?:sou|era|como) (?:um |uma )?\w+(?:or|ora|eir[oa]|ist[ao]|ad[oa]|ic[oa])\b",
        ),
        (
            r"\bel[ea]\b|\bdele|cuida dele",
            r"\b(?:meu|minha|nosso|nossa|tenho|temos|tive|(?:eu|el[ea]|gente|irmã|irmão) (?:tem|tinha))\b",
        ),
        (r"\beles (?:têm|estudam|gostam|falam|aprendam|mais)", r"\b(?:meus|minhas|nossos|tenho|temos|tem)\b.*s\b"),
        (
            r"de estudar|você estuda|quer fazer depois",
            r"\bestud\w+|\b(?:curso|faculdade|universidade|aula|mestrado|doutorado|tese|prova)s?\b",
        ),
        (
            r"\bvocês (?:se|fazem|estão|gostam|costumam|eram|ainda)|você se parece|sua família|de vocês",
            r"\b(?:me[ua]s?|minhas?|noss[oa]s?|nós|tenho|temos|conheci|namor\w+|cas\w+|somos)\b|\ba gente\b",
        ),
        (
            r"seu bairro|os vizinhos|mora aí|as visitas",
            r"\b(?:mor|viv|mud)\w+|\b(?:bairro|apartamento|rua|minha cidade)\b",
        ),
        (r"\bnessa festa|na festa", r"\bfesta|anivers|casamento|carnaval|natal|churrasco"),
    )
)
"""What a question takes for granted, and words that show it: no "Foi caro?" where nothing was bought."""

_IMAGINED = re.compile(r"^\W*(?:mas |e )?(?:se|caso|tomara que|queria que)\b", re.IGNORECASE)
_WISH = re.compile(
    r"\b(?<!não )(?:quer(?:o|emos|ia)|gostaria|pretendo|preciso|precisar|vou) (?:de |muito )?(?:\w+[aei]r|que)\b"
)
"""What is imagined or wished for is not there yet: questions on how it is do not fit."""

_OF = re.compile(
    r"((?!muito|mais|gost|falta|precis|antes|depois|perto|longe|além)\w{3,} (?:de|da|do|das|dos)(?: uma?)?) \w+"
)
"""The word after "de" only tells which: "um livro de receitas" is about a book."""

_QUESTION = re.compile(r"[^.!?…]*\?")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Topic:
    """Questions on one topic, by the bands A, B and C. `words` show the topic; a general one has none."""

    topic: str
    words: tuple[str, ...]
    questions: dict[str, tuple[str, ...]]
    mood: Mood = "any"


@cache
def topics() -> tuple[Topic, ...]:
    """All topics, the most specific first."""
    return TypeAdapter(tuple[Topic, ...]).validate_json(data_file("teaching/topics.json").read_bytes())


@cache
def _signs() -> tuple[tuple[Topic, re.Pattern[str]], ...]:
    """The topics that words show, each with the pattern of its words."""
    return tuple(
        (topic, re.compile(rf"\b(?:{'|'.join(map(_with_plural, topic.words))})\b")) for topic in topics() if topic.words
    )


def _with_plural(word: str) -> str:
    return re.escape(word) + ("s?" if len(word) > 3 and word[-1] in "aeo" else "")


@cache
def _general() -> dict[str, Topic]:
    return {topic.topic: topic for topic in topics() if not topic.words}


def follow_up(utterance: str, kind: Kind | Special, level: str, replies: Sequence[str], before: str = "") -> str:
    """A question on what was said that was not asked before in this conversation; "" if none is left.

    `kind` may also be what the tutor has done: see `Special`.
    `before` is the learner's utterance before this one, whose topic goes on where this one shows none. `replies` are
    the tutor's earlier ones, oldest first.
    """
    asked = [question.strip() for reply in replies for question in _QUESTION.findall(reply)]
    lately = {_first_word(question) for question in asked[-LATELY:]}
    left = [
        question
        for topic in _fitting(utterance, kind, before)
        for question in _of_level(topic, level)
        if question not in asked and not _answered(question, utterance, before) and _fits(question, utterance, before)
    ]
    if kind in ("neutral", "glad") and not _about_learner(utterance) and len(_WORD.findall(utterance)) > SHORT:
        left = [question for question in left if not _TO_LEARNER.search(question)] or left
    fresh = (question for question in left if _first_word(question) not in lately)
    return next(fresh, left[0] if left else "")


def all_questions() -> Iterator[str]:
    for topic in topics():
        for questions in topic.questions.values():
            yield from questions


def _fitting(utterance: str, kind: Kind | Special, before: str) -> Iterator[Topic]:
    if kind in get_args(Special):
        yield _general()[kind]
        return
    moods = _MOODS.get(kind, ("any",))
    said = _COMPANY.sub(" ", utterance.lower())
    said = re.sub(r"\bdesde (?:criança|pequen[oa])\b", " ", said)
    said = without if len(_WORD.findall(without := _WHEN.sub(" ", said))) > SHORT else said
    if kind == "neutral" and (_IMAGINED.search(said) or _WISH.search(said)):
        yield _general()["imagined" if _IMAGINED.search(said) else "future"]
    if kind == "neutral" and (other := _OTHER.search(said)):
        yield _general()["he" if other["he"] else "she"]
    for mood in moods:
        yield from _on(said, mood)
    if kind in ("grave", "sad"):
        yield _general()["bad"]
        return
    if kind == "glad":
        yield _general()["good"]
    elif len(_WORD.findall(said)) <= SHORT:  # "Sim." "Não sei."
        yield from _on(before.lower(), "any")
    yield _general()[_time(said)]


def _on(said: str, mood: Mood) -> list[Topic]:
    """The topics that words show, the one with most of them (in letters) first."""
    heads = _OF.sub(r"\1", said)
    shown = [
        (sum(map(len, [*set(sign.findall(said)), *set(sign.findall(heads))])), topic)
        for topic, sign in _signs()
        if topic.mood == mood
    ]
    return [topic for letters, topic in sorted(shown, key=lambda pair: -pair[0]) if letters]


def _about_learner(said: str) -> bool:
    """Whether somebody speaks of themselves: "eu", "a gente", "moro"; not of "minha irmã" or "o governo" alone."""
    if _SELF.search(said):
        return True
    words = (word.lower() for word in _WORD.findall(said))
    return any(third_person(word, after_eu=False) not in (None, word) for word in words)


def _answered(question: str, said: str, before: str) -> bool:
    """Whether the learner has just said what the question asks for."""
    return any(asks.search(question) and told.search(f"{before} {said}") for asks, told in _TOLD)


def _fits(question: str, said: str, before: str) -> bool:
    """Whether what the question takes for granted was said."""
    short = len(_WORD.findall(said)) <= SHORT
    told = f"{before} {said}" if short else said
    return all(needed.search(told) for asks, needed in _NEEDS if asks.search(question))


def _time(said: str) -> str:
    if OPINION.search(said):
        return "opinion"
    if _PAST.search(said):
        return "past"
    return "future" if _FUTURE.search(said) else "present"


def _of_level(topic: Topic, level: str) -> tuple[str, ...]:
    return topic.questions.get(level[:1], ()) or topic.questions.get("B", ())


def _first_word(question: str) -> str:
    found = _WORD.search(question)
    return found[0].lower() if found else ""
