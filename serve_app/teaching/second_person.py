"""Says what a learner said about themselves to the learner: "Eu moro com meu irmão" -> "Você mora com seu irmão".

Rules, not a model, since a small model falls back into the first person. Where the rules are not sure of the whole
sentence they give its beginning only, and the model goes on from there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve_app.teaching.utterance_kind import has_foreign_words
from serve_app.teaching.verbs import third_person, third_person_plural

_LEAD = re.compile(
    r"^\W*(?:(?:oi|olá|ah|oh|bom dia|boa (?:tarde|noite)|pois é|mas|e|então|sim|não,|entendi|bem|hum|hmm|tá|ok"
    r"|obrigad[oa]|assim(?! que)|tipo|well|yes|(?:é|bom)(?=[,.!…]))\b[\s,.!…]*)+",
    re.IGNORECASE,
)
"""Words that open an utterance and are not said back."""

_TOKEN = re.compile(r"[\w-]+|[^\w\s]+")
_POSSESSIVE = {"meu": "seu", "minha": "sua", "meus": "seus", "minhas": "suas"}
_OURS = frozenset(("nosso", "nossa", "nossos", "nossas"))
_BETWEEN = frozenset(
    ("não", "também", "já", "nunca", "sempre", "só", "ainda", "quase", "mesmo", "realmente", "te", "lhe", "o", "a")
) | frozenset(("os", "as", "agora", "ontem", "hoje", "normalmente", "até", "aqui", "lá", "ali"))
"""Words that may stand between a subject and its verb."""

_NEW_CLAUSE = frozenset(("e", "mas", "porque", "ou", "então", "depois", "quando", "que", "se", ",", ";", "embora"))
_TO_THE_TUTOR = frozenset(
    ("você", "vocês", "te", "lhe", "seu", "sua", "seus", "suas", "teu", "tua", "lia", "professora")
)
_ARTICLES = frozenset(("o", "a", "os", "as", "um", "uma", "do", "no", "ao", "pelo", "seu", "este", "esse"))
_NO_VERBS = frozenset(
    ("como", "certo", "quando", "pelo", "no", "o", "ao", "tudo", "muito", "isso", "do", "caso", "desculpo")
)
_SENTENCE = re.compile(r"[^.!?…]+[.!?…]*")
_PAST = re.compile(
    r"\b(ontem|anteontem|passad[oa]s?|atrás|quando (eu|a gente) era)\b|\w{2,}(ei|aram|eram|iram)\b"
    r"|\b(?!(?:meu|teu|seu|céu|sou|estou|vou|dou|museu)\b)\w{2,}(ou|eu|iu)\b",
    re.IGNORECASE,
)
_NOW = re.compile(
    r"\b(sempre|tod[oa]s? (?:os|as|o|a)? ?(?:dias?|semanas?|meses|anos?|noites?|manhãs?|tardes?)|toda \w+|agora|cada"
    r"|hoje|normalmente|geralmente|às vezes|nunca)\b|\b(?:mora|trabalha|estuda|fala|gosta|precisa|ama|adora)mos\b",
    re.IGNORECASE,
)
_BOTH_TENSES = re.compile(r"\b(?!(?:temos|somos|vamos|estamos|podemos|queremos|fazemos|sabemos)\b)\w{2,}[aei]mos\b")
"""Verbs of "nós" that are the same in the present and the past: "falamos"."""

_NOT_SAID_BACK = re.compile(r"(?i:\bdeix[ae] (?:eu|me)\b)|^(?:[Ee]u )?[Ss]ou [A-ZÀ-Ú]\w+$")

LONGEST = 18
"""Words of the longest sentence that is said back whole."""


@dataclass(frozen=True, slots=True)
class SaidBack:
    """`text` without a full stop; `whole` if it is the whole sentence, else its beginning. "" if nothing is sure."""

    text: str
    whole: bool


def said_back(sentence: str, before_mending: str = "") -> SaidBack:
    """One sentence of the learner, about "você".

    `before_mending` is the sentence with its errors, if it had any: they may show its tense ("nós comeu").
    """
    text = _LEAD.sub("", sentence).strip().rstrip(".!…, ")
    past = _PAST.search(f"{text} {before_mending}") is not None
    if has_foreign_words(text) or _NOT_SAID_BACK.search(text):
        return SaidBack("", whole=False)
    if not past and _BOTH_TENSES.search(text) and not _NOW.search(text):
        return SaidBack("", whole=False)
    said = _TOKEN.findall(text)
    turned = _Turned(past)
    for position, token in enumerate(said):
        turned.take(token, said[position + 1 : position + 3])
    if not turned.about_learner or not turned.sure_words:
        return SaidBack("", whole=False)
    whole = turned.sure and len(said) <= LONGEST and "?" not in sentence
    words = turned.words if whole else turned.words[: turned.sure_words]
    return SaidBack(_joined(words), whole)


def sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.findall(text) if part.strip(" .!?…")]


class _Turned:
    """The sentence so far, word by word."""

    def __init__(self, past: bool) -> None:
        self.words: list[str] = []
        self.sure = True
        self.sure_words = 0
        """Up to here it can be said as it is, if the rest cannot."""
        self.about_learner = False
        self._past = past
        self._subject = ""
        """"eu" or "nós" while its verb is awaited."""
        self._last_subject = ""
        """The subject of the clause, for a verb after "e" that has none of its own."""
        self._opens = True
        """A verb without a subject may stand here."""

    def take(self, token: str, following: list[str]) -> None:
        word = token.lower()
        next_word = following[0].lower() if following else ""
        if word == "eu" or (word == "mim" and self._opens):
            self._begin("eu", "você")
        elif word == "nós" or (word == "a" and next_word == "gente"):
            self._begin("nós" if word == "nós" else "a gente", "vocês")
        elif word == "gente" and self._subject == "a gente":
            return
        elif word in _POSSESSIVE:
            self._say(_POSSESSIVE[word], learner=True)
        elif word == "comigo":
            self._say("com você", learner=True)
        elif word == "mim":
            self._say("você", learner=True)
        elif word == "me":
            self._me(next_word)
        elif word in _OURS or word in ("conosco", "nos") or (word in _TO_THE_TUTOR and not self._subject):
            self._unsure(token)
        elif self._subject and word not in _BETWEEN and re.match(r"\w", word):
            self._verb(token, word)
        elif token[0].isupper() and self.words:
            self._say(token)
        elif not self._subject and (turned := third_person(word, after_eu=False)):
            self._bare_verb(turned)
        elif self._opens and self._first_verb(word):
            self._bare_verb(third_person(word) or token)
        elif self._last_subject in ("nós", "a gente") and word.endswith("mos"):
            self._subject = self._last_subject
            self._verb(token, word)
        else:
            self._say(token)
        self._opens = word in _NEW_CLAUSE or (self._opens and word in _BETWEEN)

    def _begin(self, subject: str, said: str) -> None:
        self._subject = self._last_subject = subject
        self.about_learner = True
        self._say(said)

    def _verb(self, token: str, word: str) -> None:
        first = self._subject == "eu"
        turned = third_person(word) if first else third_person_plural(word, past=self._past)
        self._subject = ""
        if turned is None:
            self._unsure(token)
        else:
            self._say(turned)

    def _bare_verb(self, turned: str) -> None:
        """A verb without "eu" gets a subject, unless it goes on with that of the clause before."""
        goes_on = self._last_subject == "eu" and self.words[-1:] and self.words[-1].lower() in ("e", "mas", "ou", ",")
        self._last_subject = "eu"
        self.about_learner = True
        if not goes_on:
            at = len(self.words)
            while at and self.words[at - 1].lower() in ("não", "já", "nunca", "também", "só", "sempre", "ainda", "se"):
                at -= 1
            self.words[at:] = ["você", *(word.lower() for word in self.words[at:])]
        self._say(turned)

    def _first_verb(self, word: str) -> bool:
        """ "Moro em Recife": a verb in -o opens the utterance; "e trabalho" goes on after a verb of "eu"."""
        if not word.endswith("o") or word in _NO_VERBS or (self.words and self.words[-1].lower() in _ARTICLES):
            return False
        starts = all(said.lower() in _BETWEEN for said in self.words)
        return (starts or self._last_subject == "eu") and third_person(word) is not None

    def _me(self, next_word: str) -> None:
        """ "eu me chamo" -> "você se chama", "me chamo" too; "meu chefe me viu" -> "seu chefe te viu"."""
        own = self._subject == "eu" or third_person(next_word, after_eu=False) not in (None, next_word)
        own = own or (not self.words and third_person(next_word) not in (None, next_word))
        own = own or (self._last_subject == "eu" and next_word.endswith(("ado", "ido")))
        own = own or (self._last_subject == "eu" and self.words[-1:] == ["de"] and next_word.endswith("r"))
        goes_on = next_word.endswith(("ado", "ido")) or self.words[-1:] == ["de"]
        if own and not self._subject and not goes_on:
            self._subject = self._last_subject = "eu"
            self._say("você", learner=True)
        self._say("se" if own else "te", learner=True)

    def _say(self, word: str, *, learner: bool = False) -> None:
        self.words.append(word)
        self.about_learner = self.about_learner or learner
        if self.sure and (self.about_learner or learner):
            self.sure_words = len(self.words)

    def _unsure(self, token: str) -> None:
        self.words.append(token)
        self.sure = False


def _joined(words: list[str]) -> str:
    text = re.sub(r"\s+([,;:.!?…])", r"\1", " ".join(words)).strip(" ,;")
    return text[:1].upper() + text[1:]
