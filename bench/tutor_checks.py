"""Mechanical checks of the tutor's replies: what can be told about a reply without understanding it.

Each check answers None where it does not apply. A reply that passes all of them may still be dull or wrong;
`bench.tutor_sheet` says how far a person agrees.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from itertools import pairwise

from wordfreq import zipf_frequency

from serve_app.lesson.speech_cutter import Pace, PieceCutter

from .tutor_conversations import Line

MOST_WORDS = {"A1": 22, "A2": 26, "B1": 32, "B2": 36, "C1": 40, "C2": 40}
FIRST_PIECE = range(5, 31)
"""Characters of the piece that is spoken first: less is not spoken alone, more keeps the learner waiting."""

LATELY = 4
"""An opening or a question that one of so many replies before had is repeated."""

SAME_QUESTION = 0.8
"""Two questions are the same one if they share so much of their words, in order."""

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LEAK = re.compile(r"[\[\]<>]|\b[ABC][12]\b|\b(?:Aluno|Aluna|Professora|Lia|User|Assistant|Tutor)\s*:", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“‘«].*?[\"”’»]|(?<!\w)'.*?'(?!\w)")
_SENTENCE = re.compile(r"[^.!?…]+[.!?…]*")
_CHEERFUL = re.compile(
    r"\bque (?:coisa |notícia )?(?:legal|b[oa]a?m?|ótim[oa]|maravilh\w+|delícia|incrível|divertido|lindo|alegria)\b"
    r"|\b(?:muito bem|parabéns|ótim[oa]|excelente|maravilh\w+|fico (?:muito )?feliz|adorei|perfeito|fantástico)\b"
    r"|\b(?:extraordinári[ao]|admirável|celebrado|fascinante|que (?:alegria|satisfação)|(?:notícia|novidade) boa"
    r"|experiência bonita|imensamente feliz)\b"
    r"|\b(?:que )?interessante\b|\bbom saber\b|\btudo bem\b(?!\?)|^\W*legal\b",
    re.IGNORECASE,
)
_SYMPATHY = re.compile(
    r"\b(?:sinto|lamento|pena|trist\w+|chat[oa]|difícil|difíceis|sentimentos|puxa|poxa|nossa|força|melhor\w*|preocup\w+"
    r"|horrível|terrível|calma|espero que|imagino|complicad[ao]|frustrante|angusti\w+|angústia|desgast\w+|doloros[ao]"
    r"|solidariedade)\b",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(
    r"\b(?:sou|estou|tô|acho|tenho|vou|fui|fiz|faço|quero|posso|sei|preciso|gosto|moro|tive|vim|consegui|vi|li|saí"
    r"|(?!foi|vai|aqui|ali)\w{2,}[bcdfgjklmnprstvz]i|(?!rei|lei)\w{2,}ei|fomos|somos|\w{2,}mos)\b",
    re.IGNORECASE,
)
_MINE = frozenset(("meu", "minha", "meus", "minhas", "nosso", "nossa", "nossos", "nossas"))
_ASKED_OF_TUTOR = frozenset(("fala", "fale", "diz", "diga", "conta", "conte", "explica", "explique", "desculpe"))
_OWN = re.compile(r"\b(?:também|acho|penso|entendo|imagino|sinto muito|lamento|espero|\w{2,}amos)\b", re.IGNORECASE)
"""What the tutor says of herself, or of both ("vamos")."""

_TO_TUTOR = re.compile(r"\b(?:você|vocês|tu|a senhora)\b[^.!?]*\?", re.IGNORECASE)
_TO_LEARNER = re.compile(r"\b(?:você|vocês|seus?|suas?)\b", re.IGNORECASE)
_AGAIN = re.compile(r"\b(?:não entendi|repet\w+|de novo|outra vez)\b", re.IGNORECASE)


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def first_piece(text: str) -> str:
    """What the server would give to the voice first."""
    cutter = PieceCutter(Pace())
    for character in text:
        cutter.feed(character)
        if piece := cutter.next_piece(0.0):
            return piece
    cutter.finish()
    return cutter.next_piece(0.0) or ""


def sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in _SENTENCE.findall(text) if words(sentence)]


def question(text: str) -> str:
    """The last question of the text, "" without one."""
    asked = [sentence for sentence in sentences(text) if sentence.rstrip("\"'”’").endswith("?")]
    return asked[-1] if asked else ""


def statements(text: str) -> str:
    """The text without its questions. One that is quoted is no question: 'A gente pergunta: "Quanto custa?"'."""
    text = _QUOTED.sub(lambda quoted: quoted.group().replace("?", ""), text)
    return " ".join(sentence for sentence in sentences(text) if not sentence.rstrip("\"'”’").endswith("?"))


def opening(text: str) -> str:
    """The words of the first sentence, four at most."""
    return " ".join(words(sentences(text)[0])[:4]) if sentences(text) else ""


def opening_repeated(text: str, replies: Sequence[str]) -> bool:
    """`replies` are the earlier ones of the conversation, oldest first."""
    return opening(text) in {opening(reply) for reply in replies[-LATELY:]}


def question_repeated(text: str, replies: Sequence[str], said: str = "") -> bool | None:
    """None without a question, and where the learner asked for it once more."""
    asked = words(question(text))
    if not asked or _AGAIN.search(said):
        return None
    before = [words(question(reply)) for reply in replies[-LATELY:]]
    return any(difflib.SequenceMatcher(None, asked, other).ratio() >= SAME_QUESTION for other in before if other)


def echo_in_first_person(text: str, said: str) -> bool:
    """Whether the reply says "eu" for what the learner said about themselves, or calls the learner's things mine.

    Quoted words do not count, nor what answers a question that was put to the tutor.
    """
    if _TO_TUTOR.search(said):
        return False
    heard = words(said)
    mine = _MINE | {"me"} | ({"eu"} if "?" in said else set())
    owned = {pair for pair in pairwise(heard) if pair[0] in mine and pair[1] not in _ASKED_OF_TUTOR}
    for clause in clauses(text):
        spoken = words(clause)
        if owned.intersection(pairwise(spoken)):
            return True
        about_learner = _TO_LEARNER.search(clause) and "eu" not in spoken
        if about_learner or not ("eu" in spoken or _FIRST_PERSON.search(clause)):
            continue
        if _FIRST_PERSON.search(" ".join(_shared_run(spoken, heard, at_least=4))):
            return True
        if _OWN.search(clause):
            continue
        content = [word for word in spoken if len(word) >= 4]
        shared = [word for word in content if word in heard]
        if len(shared) >= 2 and len(shared) >= 0.6 * len(content):
            return True
    return False


def wrong_person(text: str, said: str) -> bool:
    """Whether a verb of the learner's stands in the first person after "você" ("você não consegui")."""
    heard = words(said)
    for clause in clauses(text):
        _, _, after = " ".join(words(clause)).replace("vocês", "você").partition("você")
        forms = _FIRST_PERSON.findall(after)
        if any(form in heard for form in forms) and "eu" not in words(clause):
            return True
    return False


def _shared_run(ours: list[str], theirs: list[str], at_least: int) -> list[str]:
    """The longest run of words in both, if it is long enough."""
    run = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).find_longest_match()
    return ours[run.a : run.a + run.size] if run.size >= at_least else []


def clauses(text: str) -> list[str]:
    """The text without quoted words, in parts."""
    return re.split(r"[.!?;,…:]", _QUOTED.sub(" ", text))


def foreign_words(text: str) -> list[str]:
    """Words that are not Portuguese, or far more at home elsewhere. Quoted words and names are let through."""
    found = []
    text = _QUOTED.sub(" ", text)
    for match in _WORD.finditer(text):
        word = match.group()
        before = text[: match.start()].rstrip(" \"'“(")
        if word[0].isupper() and before and before[-1] not in ".!?…":
            continue
        here = zipf_frequency(word, "pt")
        elsewhere = max(zipf_frequency(word, language) for language in ("es", "en", "it", "fr"))
        if here < 1.5 or (here < 4 and elsewhere > here + 1.5):
            found.append(word)
    return found


def faults(text: str, line: Line, level: str, replies: Sequence[str] = ()) -> dict[str, bool]:
    """The checks that apply to the reply, each with whether it found its fault."""
    said_in_statements = statements(text)
    to_tutor = line.kind in ("request", "tutor")
    answered_in = text if line.kind in ("request", "advice") else said_in_statements  # "Que tal ...?"
    found: dict[str, bool | None] = {
        "opening repeated": opening_repeated(text, replies),
        "question repeated": question_repeated(text, replies, line.said),
        "first-person echo": not to_tutor and echo_in_first_person(text, line.said),
        "verb in the wrong person": wrong_person(text, line.said),
        "cheerful answer to bad news": _CHEERFUL.search(said_in_statements) is not None if line.bad_news else None,
        "bad news without sympathy": _SYMPATHY.search(text) is None if line.bad_news else None,
        "question without an answer": _misses(line.answer, answered_in),
        "error not recast": _misses(line.right, text),
        "other languages": bool(foreign_words(text)),
        "too long": len(words(text)) > MOST_WORDS[level],
        "parts of the prompt": _LEAK.search(text) is not None,
    }
    return {name: fault for name, fault in found.items() if fault is not None}


def _misses(wanted: str | None, text: str) -> bool | None:
    return None if wanted is None else re.search(wanted, text, re.IGNORECASE) is None
