"""Acronyms, words in capitals and Roman numerals."""

from __future__ import annotations

import re

SAID_AS_A_WORD = {
    **{"ONU": "ônu", "OTAN": "otã", "USP": "úspi", "AIDS": "aides", "CEP": "cépi", "SUS": "sus", "OK": "oquei"},
    **{
        "PUC": "púqui",
        "ONG": "ôngui",
        "INSS": "i-ene-ésse-ésse",
        "CELPE": "célpe",
        "NATO": "nato",
        "RAM": "rã",
        "COVID": "covid",
    },
}
_LETTERS = {
    **{"A": "á", "B": "bê", "C": "cê", "D": "dê", "E": "éh", "F": "éfe", "G": "gê", "H": "agá", "I": "i", "J": "jota"},
    **{"K": "cá", "L": "éle", "M": "ême", "N": "êne", "O": "ó", "P": "pê", "Q": "quê", "R": "érre", "S": "ésse"},
    **{"T": "tê", "U": "u", "V": "vê", "W": "dáblio", "X": "xis", "Y": "ípsilon", "Z": "zê"},
}
"""So that espeak stresses each: "é" in a row of letters would be the verb."""

_PORTUGAL = {"K": "capa", "G": "guê", "W": "dâblio", "Y": "ípsilon"}
_SHORT_WORDS = frozenset(
    (
        *("eu", "tu", "ele", "ela", "nós", "vós", "um", "uma", "sim", "não", "bem", "bom", "boa", "mal", "ser"),
        *("ter", "ver", "ler", "ir", "foi", "era", "vou", "vai", "são", "que", "de", "do", "da", "em", "no"),
        *("na", "os", "as", "ou", "se", "me", "te", "já", "lá", "só", "até", "aí", "oi", "olá", "por", "sem"),
        *("com", "mas", "meu", "sua", "seu", "dia", "mãe", "pai", "fé", "pé", "pão", "mão", "sol", "mar"),
        *("rua", "céu", "luz", "vez", "voz", "cor", "mil", "dez", "três", "dois", "seis", "fim", "tão", "mais"),
        *("nem", "faz", "fez", "diz", "dê", "há"),
    )
)
_SYLLABLES = re.compile(r"(?:(?:[BCDFGPTV]?[LR]|[BCDFGHJLMNPQRSTVXZ]|CH|LH|NH|QU|GU)?[AEIOUÁÉÍÓÚÂÊÔÃÕ]{1,3}[SRLMNZ]?)+")
_CAPITALS = re.compile(r"(?<![\w-])[A-ZÁÉÍÓÚÂÊÔÃÕÇ]{2,}(?:s\b|(?![\w]))")
_ROMAN = r"(?=[IVX])X{0,3}(?:IX|IV|V?I{0,3})"
_CENTURY = re.compile(
    rf"\b([Ss]éculos?|[Ss]éc\.|[Cc]apítulos?|[Cc]ap\.|[Vv]olumes?|[Aa]tos?) ({_ROMAN})(?: e ({_ROMAN}))?\b"
)
_RULER = re.compile(
    rf"\b((?:Dom|Dona|Papa|[Rr]ei|[Rr]ainha|Pedro|João|Paulo|Luís|Luiz|Carlos|Afonso|Manuel|Henrique|José|Maria|Bento"
    rf"|Isabel|Elizabeth|Francisco|Filipe|Sebastião)(?: [A-ZÁÉÍÓÚ]\w+)*) ({_ROMAN})\b"
)


def roman_numbers(text: str) -> str:
    """Roman numerals as digits: "século XXI" is "século 21", "Dom Pedro II" is "Dom Pedro 2º", "Luís XIV" "Luís 14"."""

    def chapter(match: re.Match[str]) -> str:
        first, second = _value(match[2]), _value(match[3]) if match[3] else 0
        return f"{match[1]} {first}" + (f" e {second}" if second else "")

    def ruler(match: re.Match[str]) -> str:
        number = _value(match[2])
        feminine = re.search(r"Dona|[Rr]ainha|Maria|Isabel|Elizabeth", match[1])
        return f"{match[1]} {number}" + (("ª" if feminine else "º") if number <= 10 else "")

    return _RULER.sub(ruler, _CENTURY.sub(chapter, text))


def _value(roman: str) -> int:
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in roman]
    return sum(-value if value < max(values[at:]) else value for at, value in enumerate(values))


def capitals(text: str, *, european: bool = False) -> str:
    """Acronyms spelt or said as words; what is only written large in small letters."""
    return _CAPITALS.sub(lambda match: _said(match[0], european), text)


def _said(written: str, european: bool) -> str:
    letters = written.removesuffix("s")
    if known := SAID_AS_A_WORD.get(letters):
        return known + ("s" if letters != written else "")
    if letters.lower() in _SHORT_WORDS or (len(letters) > 3 and _SYLLABLES.fullmatch(letters)) or len(letters) > 5:
        return written.lower()
    names = _LETTERS | (_PORTUGAL if european else {})
    if all(letter in names for letter in letters):
        return "-".join(names[letter] for letter in letters)
    return written.lower()
