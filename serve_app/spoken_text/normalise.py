"""Text as it is spoken, before any voice: numbers in words, abbreviations in full, acronyms spelt, no signs.

Voices cannot be trusted with them: espeak reads "R$ 3,50" as "real dólar", and quotes cut its phonemes so that "é"
becomes "e agudo".
"""

from __future__ import annotations

import re

from serve_app.spoken_text.numbers import Variety, spoken_numbers

_ABBREVIATIONS = {
    "Sr.": "senhor",
    "Sra.": "senhora",
    "Srta.": "senhorita",
    "Srs.": "senhores",
    "Dr.": "doutor",
    "Dra.": "doutora",
    "Prof.": "professor",
    "Profa.": "professora",
    "Sto.": "Santo",
    "Sta.": "Santa",
    "S.": "São",
    "Av.": "avenida",
    "R.": "rua",
    "p. ex.": "por exemplo",
    "p.ex.": "por exemplo",
    "ex.:": "por exemplo,",
    "etc.": "etcétera",
    "pág.": "página",
    "págs.": "páginas",
    "nº": "número",
    "n.º": "número",
    "vs.": "contra",
    "a.C.": "antes de Cristo",
    "d.C.": "depois de Cristo",
    "tel.": "telefone",
    "cap.": "capítulo",
    "min.": "minutos",
    "obs.": "observação",
}
_SAID_AS_A_WORD = {"ONU": "ônu", "OTAN": "otã", "UNESCO": "unesco", "FIFA": "fifa", "NASA": "nasa", "ENEM": "enem"} | {
    **{"AIDS": "aides", "CEP": "cépi", "SUS": "sus", "MASP": "masp", "CELPE": "celpe", "USP": "úspi", "OK": "oquei"},
}
_LETTERS = {
    **{"A": "á", "B": "bê", "C": "cê", "D": "dê", "E": "é", "F": "éfe", "G": "gê", "H": "agá", "I": "i", "J": "jota"},
    **{"K": "cá", "L": "éle", "M": "ême", "N": "êne", "O": "ó", "P": "pê", "Q": "quê", "R": "érre", "S": "ésse"},
    **{"T": "tê", "U": "u", "V": "vê", "W": "dáblio", "X": "xis", "Y": "ípsilon", "Z": "zê"},
}
_SIGNS = {
    "e/ou": "e ou",
    "&": " e ",
    "+": " mais ",
    "=": " igual a ",
    "@": " arroba ",
    "×": " vezes ",
    "½": " meio ",
    "/": " ou ",
}
_QUOTES = re.compile(r"[\"“”„«»‘’`]|(?<!\w)'|'(?!\w)")
_UNSPOKEN = re.compile(r"[^\w\s.,;:!?…'()\-–—]|_")
_URL = re.compile(r"(?:https?://)?(?:www\.)?([\w-]+(?:\.[\w-]+)+)(?:/\S*)?", re.IGNORECASE)
_MAIL = re.compile(r"([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)")
_DOMAINS = re.compile(r"\.(?:com|org|net|br|pt|edu|gov|io|app)\b", re.IGNORECASE)
_ACRONYM = re.compile(r"\b[A-ZÁÉÍÓÚÂÊÔÃÕ]{2,5}\b")


def spoken(text: str, variety: Variety = "pt-br") -> str:
    """The text as it is to be read aloud; "" where nothing of it can be."""
    text = _MAIL.sub(lambda match: f"{_dotted(match[1])} arroba {_dotted(match[2])}", text)
    text = _URL.sub(lambda match: _dotted(match[1]) if _DOMAINS.search(match[0]) else match[0], text)
    for short, long in _ABBREVIATIONS.items():
        text = re.sub(rf"(?<![\w.]){re.escape(short)}(?=\s|$|[,;:!?)])", long, text)
    text = spoken_numbers(text, variety)
    text = _QUOTES.sub("", text)
    for sign, words in _SIGNS.items():
        text = text.replace(sign, words)
    text = _ACRONYM.sub(lambda match: _acronym(match[0], text), text)
    text = _UNSPOKEN.sub(" ", text)
    text = re.sub(r"\s+([.,;:!?…])", r"\1", re.sub(r"\s+", " ", text)).strip()
    return text if any(map(str.isalnum, text)) else ""


def _dotted(name: str) -> str:
    return name.replace(".", " ponto ").replace("-", " traço ").replace("_", " underline ").replace("+", " mais ")


def _acronym(letters: str, text: str) -> str:
    """Spelt, unless it is said as a word or the whole text is in capitals."""
    if text == text.upper() and len(text.split()) > 1:
        return letters.lower()
    if known := _SAID_AS_A_WORD.get(letters):
        return known
    if all(letter in _LETTERS for letter in letters):
        return "-".join(_LETTERS[letter] for letter in letters)
    return letters
