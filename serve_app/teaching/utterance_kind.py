"""What kind of utterance a tutor has to answer, decided by words: a question, good or bad news, a goodbye ...

It decides how the reply opens, before a model has written anything; so where words do not show a mood, it is neutral.
"""

from __future__ import annotations

import re
from typing import Literal

from wordfreq import zipf_frequency

from serve_app.teaching.moods import mood_of, sure_mood

Kind = Literal[
    "grave",
    "sad",
    "glad",
    "neutral",
    "question",
    "greeting",
    "goodbye",
    "thanks",
    "repeat",
    "thinking",
    "understood",
    "foreign",
    "off_task",
]
"""grave: death, illness, violence. sad: other bad news. neutral: any other statement. repeat: the learner did not
understand. thinking: they want time. understood: no more than "ah, entendi". foreign: not Portuguese. off_task: asks
the tutor to be or do something else."""


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


_GOODBYE = re.compile(
    r"^\W*(?:(?:então|bom|ok|obrigad[oa]|tá|certo|bem)[\s,.!]+)*"
    r"(?:tchau|adeus|até (?:logo|amanhã|mais|breve|a próxima|segunda|terça|quarta|quinta|sexta|sábado"
    r"|domingo|depois|(?:a )?semana que vem|outro dia|lá)|preciso ir|tenho que ir|boa noite e|bye)"
    r"|\b(?:goodbye|bye|see you|i have to go|adiós|até a próxima|tchau|a gente se (?:vê|fala))\W*$"
    r"|\bvou indo\b|\baté a próxima\b|^\W*falou\W"
    r"|(?:^|[,.!?…]) ?(?:até(?: logo| mais| já| breve| amanhã)?|(?:um |muitos )?(?:abraç|beij)(?:o|os|inho|inhos)"
    r"|se cuid[ae]|fi(?:ca|que) com deus|ciao|au revoir|tschüss|hasta luego|gute nacht)\W*$"
    r"|^\W*(?!oi\b|olá\b|hola\b|ei\b)\w[^?]{2,40}[,.!] (?:uma )?boa noite\W*$"
    r"|\b(?:preciso|tenho que|tenho de|vou ter que) (?:ir embora|ir agora|ir já|desligar(?: agora| já)?)\W*$",
    re.IGNORECASE,
)
_UNDERSTOOD = re.compile(
    r"^\W*(?:(?:ah|oh|hum+|sim|ok|okay|nossa|agora|tá|(?:tá|está) (?:bom|bem|certo)|certo|beleza|bom|é|eu|bem|que"
    r"|(?:muito )?(?:legal|bom|interessante|bem)|entend(?:i|o)|compreendi|faz sentido|saquei|claro|perfeito|exatamente"
    r"|é isso(?: mesmo)?|bom saber)\b[\s,.!…]*)+$",
    re.IGNORECASE,
)
_SAYS_UNDERSTOOD = re.compile(
    r"\b(?:entend|compreend|legal|tá b|está b|ok|beleza|sentido|saquei|interess|saber)", re.IGNORECASE
)
_THANKS = re.compile(
    r"^\W*(?:(?:ah|ok|tá|(?:tá|está) (?:bom|bem|certo)|sim|certo|legal|entendi|que legal|é isso|bom|perfeito)[\s,.!]+)*"
    r"(?:muito )?(?:obrigad[oa]|valeu)\b[^?]{0,25}$",
    re.IGNORECASE,
)
_REPEAT = _words(
    r"(?:pode|podia|poderia)(?: você)? (?:repetir|falar (?:mais )?devagar|dizer de novo)",
    r"não (?:te )?(?:entendi|compreendi|ouvi|escutei)",
    r"o que (?:é que )?você (?:disse|falou|perguntou)(?! (?:antes|ontem|sobre))",
    r"qual (?:foi|era) a (?:sua )?pergunta|mais devagar, por favor",
    r"(?:você )?repete(?: isso)?(?=,? ?(?:por favor)?\?)|mais uma vez, por favor",
    r"diz(?:er)? (?:isso )?(?:de novo|outra vez)",
    r"repet(?:e|ir),? por favor|fal(?:a|e) mais devagar|como assim",
)
_GREETING = re.compile(
    r"^\W*(?:oi|olá|ei|hola|bom dia|boa tarde|boa noite|tudo bem)\b[\s,.!?]*"
    r"(?:(?:lia|professora|tudo bem|tudo bom|como vai(?: você)?|como está|bom dia|boa tarde|boa noite)\b[\s,.!?]*)*$",
    re.IGNORECASE,
)
_THINKING = re.compile(
    r"^\W*(?:h+u?m+|ah|é|bom)?\W*(?:deix[ae] (?:eu|me) (?:pensar|ver)|um momento|espera?)\b", re.IGNORECASE
)
_OFF_TASK = _words(
    r"(?:ignor[ea]|esqueç[ao]|esquece) (?:\w+ ){0,3}(?:instruç\w+|regras?|ordens|comandos?)",
    r"(?:system|sistema) prompt|suas instruções|instruções anteriores",
    r"(?<!você )(?:respond[ae]|fal[ae]|escrev[ae]) (?:\w+ ){0,3}(?:em )?(?:inglês|espanhol|francês|alemão|código)",
    r"você (?:não é mais|agora é|é agora|vai ser)|finj[ae] (?:que|ser)|fal[ae] como (?:um|uma)",
    r"código python|em python|escrev[ae] (?:um|uma|o) (?:código|programa|lista|poema|redação|e-?mail)",
    r"(?:mud[ae]|aument[ae]|coloqu[ae]|ponh[ae]|defin[ae]) (?:o )?(?:meu|seu) nível",
    r"ignore (?:all|previous|your)|you are now|pretend",
)
_QUESTION_WORD = re.compile(
    r"^\W*(?:(?:e|mas|então|lia|professora|oi|ah)[\s,]+)*"
    r"(?:o que|que|qual|quais|quem|quando|onde|aonde|de onde|como|por que|quant\w+|em que|de que|de qual|para onde"
    r"|você (?:acha|gosta|conhece|tem|sabe|pode|lembra|já|prefere))\b",
    re.IGNORECASE,
)
_TAG = re.compile(r",? (?:né|certo|viu|sabe|não é)\?$", re.IGNORECASE)
_PHATIC = re.compile(
    r"\b(?:tudo (?:bem|bom)|como (?:vai|está|vão as coisas|você está)|sabe(?: o que| de uma coisa)?"
    r"|adivinh\w+[\w ]*|o que aconteceu|(?:você )?acredita(?: nisso)?|quer saber|e (?:o|a|eu|daí))\W*$",
    re.IGNORECASE,
)
"""Questions that want no answer: greetings, and what only leads to a story."""

_QUOTED = re.compile(r"[\"'“‘«].*?[\"'”’»]")
_WORD = re.compile(r"[^\W\d_]+")
_SMALL = frozenset(
    "|a|o|e|de|me|no|do|se|as|os|da|na|em|um|te|la|en|el|es|por|para|como|come|are|is|so|tu|vai".split("|")  # noqa: SIM905
)
"""Words that are as frequent in another language."""

_FOREIGN = frozenset(("en", "el", "la", "los", "las", "y", "con", "mi", "mis", "the", "my", "and", "of", "in"))


def kind_of(utterance: str, sure: str | None = None) -> Kind:
    """The kind of an utterance, by its words; its mood only by those heard well (`sure`, None: all of them)."""
    if _OFF_TASK.search(utterance):
        return "off_task"
    if _GOODBYE.search(utterance):
        return "goodbye"
    if _THANKS.search(utterance):
        return "thanks"
    if _UNDERSTOOD.search(utterance) and _SAYS_UNDERSTOOD.search(utterance):
        return "understood"
    if _REPEAT.search(utterance):
        return "repeat"
    if _THINKING.search(utterance):
        return "thinking"
    if is_foreign(utterance):
        return "foreign"
    if _GREETING.search(utterance):
        return "greeting"
    if asks(utterance):
        return "question"
    return sure_mood(utterance, sure)


def asks(utterance: str) -> bool:
    """Whether the utterance asks something; speech is often written without its mark.

    A question before the last sentence counts where the rest is no news: "Como se diz isto? Em inglês é 'crutches'."
    """
    *before, last = re.split(r"(?<=[.!?…])\s+", utterance.strip())
    if _ends_asking(last) or (last[-1:].isalnum() and _QUESTION_WORD.match(last) is not None):
        return True
    asked = any(_ends_asking(sentence) and not _PHATIC.search(sentence) for sentence in before)
    return asked and mood_of(_QUOTED.sub(" ", last)) == "neutral"


def _ends_asking(sentence: str) -> bool:
    """Whether the sentence is a question, and no statement with "não é?" after it."""
    return sentence.rstrip("\"'”’").endswith("?") and not _TAG.search(sentence)


def is_foreign(utterance: str) -> bool:
    """Most words are more at home in English or Spanish than in Portuguese; what is quoted does not count."""
    words = [word.lower() for word in _WORD.findall(_QUOTED.sub(" ", utterance))]
    words = [word for word in words if word not in _SMALL]
    if len(words) < 2:
        return False
    foreign = sum(_elsewhere(word) > zipf_frequency(word, "pt") + 0.8 for word in words)
    return foreign / len(words) > 0.5


def has_foreign_words(text: str) -> bool:
    """Whether a word is at home in English or Spanish and hardly in Portuguese; names and quoted words do not count."""
    for match in _WORD.finditer(_QUOTED.sub(" ", text)):
        word = match[0].lower()
        if match[0][0].isupper() and match.start():
            continue
        if word in _FOREIGN or (len(word) > 2 and _elsewhere(word) > max(3.0, zipf_frequency(word, "pt") + 1)):
            return True
    return False


def _elsewhere(word: str) -> float:
    return max(zipf_frequency(word, language, "small") for language in ("en", "es"))
