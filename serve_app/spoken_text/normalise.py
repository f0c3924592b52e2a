"""Text as it is spoken, before any voice: numbers in words, abbreviations in full, acronyms spelt, no signs.

Voices cannot be trusted with them: espeak reads "R$ 3,50" as "real dólar", and quotes cut its phonemes so that "é"
becomes "e agudo".
"""

from __future__ import annotations

import re

from serve_app.spoken_text.letters import capitals, roman_numbers
from serve_app.spoken_text.numbers import spoken_numbers
from serve_app.spoken_text.words import Variety, digits

_ABBREVIATIONS = {
    **{"Sr.": "senhor", "Sra.": "senhora", "Sr.ª": "senhora", "Srta.": "senhorita", "Srs.": "senhores"},
    **{"Dr.": "doutor", "Dra.": "doutora", "Dr.ª": "doutora", "Prof.": "professor", "Profa.": "professora"},
    **{"Prof.ª": "professora", "Profª": "professora", "D.": "dona", "Sto.": "Santo", "Sta.": "Santa", "S.": "São"},
    **{"Av.": "avenida", "R.": "rua", "apto.": "apartamento", "ap.": "apartamento", "Pç.": "praça", "Jr.": "júnior"},
    **{"p. ex.": "por exemplo", "p.ex.": "por exemplo", "ex.:": "por exemplo,", "Ex.:": "Por exemplo,"},
    **{"etc.": "etcétera", "pág.": "página", "págs.": "páginas", "nº": "número", "n.º": "número", "Nº": "número"},
    **{"N.º": "número", "vs.": "contra", "a.C.": "antes de Cristo", "d.C.": "depois de Cristo", "séc.": "século"},
    **{"tel.": "telefone", "Tel.": "telefone", "Tel.:": "telefone", "cap.": "capítulo", "vol.": "volume"},
    **{"min.": "minutos", "obs.": "observação", "Obs.:": "Observação:", "c/": "com", "s/": "sem", "p/": "para"},
    **{"vc": "você", "vcs": "vocês", "tb": "também", "Ltda.": "limitada", "Cia.": "companhia", "i.e.": "isto é"},
}
_LOANS = {
    **{"whatsapp": "uatizápi", "smartphone": "ismartifone", "smartphones": "ismartifones", "feedback": "fidibéqui"},
    **{"weekend": "uíquendi", "teacher": "títcher", "wi-fi": "uai-fai", "youtube": "iutúbi", "facebook": "feicibúqui"},
    **{"online": "onláini", "offline": "ofláini", "notebook": "noutibúqui", "delivery": "delívery"},
    **{"netflix": "nétiflix", "google": "gúgol", "new york": "Nova Iorque"},
}
"""English words that Portuguese speakers use, spelt as they say them."""

_LOAN = re.compile(rf"\b(?:{'|'.join(_LOANS)})\b", re.IGNORECASE)
_FULL = "|".join(re.escape(short) for short in _ABBREVIATIONS if short[-1] != "/")
_SHORT = re.compile(
    rf"(?<![\w.])(?:(?![DRS]\.)(?:{_FULL})(?=\s|$|[,;:!?)])|[DRS]\.(?= (?:d[aeo]s? )?[A-ZÀ-Ú])|[csp]/(?=\s?\w))"
)
_SIGNS = {"e/ou": "e ou", "&": " e ", "+": " mais ", "=": " igual a ", "×": " vezes ", "/": " ou "}
_QUOTES = re.compile(r"[\"“”„«»‘’`]|(?<!\w)'|'(?!\w)")
_UNSPOKEN = re.compile(r"[^\w\s.,;:!?…'()\-–—]|_|(?<!\w)-(?=\w)|(?<=\w)-(?!\w)|[ºª°²³]")
_URL = re.compile(r"(?:https?://)?(?:www\.)?([\w-]+(?:\.[\w-]+)+)(?:/(?:[^\s,;!?)]|[?!](?=\w))*)?", re.IGNORECASE)
_MAIL = re.compile(r"([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)")
_DOMAINS = re.compile(r"\.(?:com|org|net|br|pt|edu|gov|io|app)\b", re.IGNORECASE)
_EITHER_FORM = re.compile(r"\b(\w+?)(o|r|ê|es)\(a(s?)\)")


def spoken(text: str, variety: Variety = "pt-br") -> str:
    """The text as it is to be read aloud; "" where nothing of it can be."""
    text = re.sub(r"(?:^|\s*\n)\s*(?:[-*•]\s+)?", "\n", text.strip()).strip().replace("’", "'")
    text = re.sub(r"(?<=\w)\n", ", ", text)
    text = _MAIL.sub(lambda match: f"{_dotted(match[1])} arroba {_dotted(match[2])}", text)
    text = _URL.sub(lambda match: _dotted(match[1]) if _DOMAINS.search(match[0]) else match[0], text)
    text = roman_numbers(text)
    text = _SHORT.sub(lambda match: f"{_ABBREVIATIONS[match[0]]}{' ' if match[0].endswith('/') else ''}", text)
    text = _EITHER_FORM.sub(_both_forms, text)
    text = re.sub(r"(?<=\w)\(\w{1,2}\)", "", text)
    text = spoken_numbers(text, variety)
    text = _QUOTES.sub("", text)
    for sign, words in _SIGNS.items():
        text = text.replace(sign, words)
    text = capitals(text, european=variety == "pt-pt")
    if variety == "pt-br":
        text = _LOAN.sub(lambda match: _LOANS[match[0].lower()], text)
    text = _UNSPOKEN.sub(" ", text)
    text = re.sub(r"\s+([.,;:!?…])", r"\1", re.sub(r"\s+", " ", text)).strip()
    return text if any(map(str.isalnum, text)) else ""


def _dotted(name: str) -> str:
    name = re.sub(r"\d+", lambda match: f" {digits(match[0])} ", name)
    return name.replace(".", " ponto ").replace("-", " traço ").replace("_", " underline ").replace("+", " mais ")


def _both_forms(match: re.Match[str]) -> str:
    """ "obrigado(a)" as both."""
    stem, ending, plural = match[1], match[2], match[3]
    return f"{stem}{ending} ou {stem}{'' if ending == 'o' else ending}a{plural}"
