"""How a word is used: an example, a synonym, its sound, whether a phrase is right, the word for what is described."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

from serve_app.package_data import data_file
from serve_app.teaching.correction import Correction
from serve_app.teaching.error_rules import find_errors, mended
from serve_app.teaching.how_to_say import is_portuguese
from serve_app.teaching.spoken_signs import spelt
from serve_app.teaching.tense_errors import IRREGULAR_PARTICIPLES
from serve_app.teaching.utterance_kind import has_foreign_words, is_foreign
from serve_app.teaching.word_answer import WordAnswer, fold
from serve_app.teaching.word_forms import feminine, masculine

_WORD = r"(?:a (?:palavra|expressão) |o verbo )?(?:\"(?P<quoted>[^\"]{2,40})\"|(?P<word>[\w-]{3,}))"
_EXAMPLE = (
    re.compile(rf"\b(?:exemplos?|frases?) (?:\w+ )?(?:com|de|usando|para) {_WORD}", re.IGNORECASE),
    re.compile(rf"\b(?:uso|usa|usar|usamos|coloco|colocar) {_WORD} (?:em|n)\w* (?:frase|exemplo)", re.IGNORECASE),
)
_ASKS_EXAMPLE = re.compile(
    r"\b(?:faz|faça|diga|diz|d[áê]|dar|mostr\w+|quero|preciso|tem|pode|poderia|como|qual|que|outro|mais)\b",
    re.IGNORECASE,
)
_SYNONYM = re.compile(
    rf"\b(?:sin[ôo]nimos? (?:d[eoa]|para)|outra (?:palavra|forma|maneira) (?:para|de dizer|que signifi\w+))\s+{_WORD}",
    re.IGNORECASE,
)
_SOUND = re.compile(
    r"\b(?:como (?:é que )?(?:se |eu |a gente |você )?pronunci\w+"
    rf"|(?:qual é a|a) pronúncia (?:certa |correta )?d[eao]) {_WORD}",
    re.IGNORECASE,
)
_RIGHT = re.compile(
    r"\b(?:est[áã]o? (?:certo|correto|bem|errado)|é (?:certo|correto|errado|possível|melhor)"
    r"|(?<!como )(?<!como eu )posso|se pode|dá para|a gente)"
    r"(?: a gente| eu| se)? ?(?:dizer|falar|diz|usar)?:? \"(?P<phrase>[^\"]{4,80})\""
    r"|\"(?P<before>[^\"]{4,80})\" (?:está|é) (?:certo|correto|errado)",
    re.IGNORECASE,
)
_EITHER = re.compile(
    r"(?:\b(?:certo|correto|correta|diz|digo|fala|é|ou)\b.*)?\"([^\"]{2,60})\",? ou (?:é |se diz )?\"([^\"]{2,60})\"",
    re.IGNORECASE,
)
_PARTICIPLE = re.compile(rf"\bparticípio (?:passado )?d[eo] {_WORD}", re.IGNORECASE)
_DESCRIBED = re.compile(
    r"\b(?:palavra|nome|chama|chamam|diz|dizer|diz-se)\b.*\b(?:pessoa|quem|lugar|loja|coisa|aparelho|objeto|homem|mulher"
    r"|profissional|médico|papel|dia|ferramenta|móvel|animal|parte|roupa|sala|quarto)\b"
    r".*\b(?:que|onde|quem|com|para|de)\b",
    re.IGNORECASE,
)


def use_of(text: str) -> WordAnswer | None:
    """The answer where `text` (with plain quotation marks) asks how a word is used."""
    return (
        _example(text)
        or _synonym(text)
        or _sound(text)
        or _which_is_right(text)
        or _right(text)
        or _participle(text)
        or _described(text)
    )


def _asked(found: re.Match[str]) -> str:
    return found["quoted"] or found["word"]


def _example(text: str) -> WordAnswer | None:
    found = next(filter(None, (pattern.search(text) for pattern in _EXAMPLE)), None)
    if found is None or not _ASKS_EXAMPLE.search(text):
        return None
    word = _asked(found)
    if example := example_of(word):
        return WordAnswer(f'Por exemplo: "{example}".')
    if not is_portuguese(word):
        return None
    return WordAnswer(f"Por exemplo: {word[:1].upper()}{word[1:]}", whole=False, easy=True)


def example_of(word: str) -> str | None:
    """A short sentence that has the word, from what the data explains other words with."""
    wanted = re.compile(rf"(?<!\w){re.escape(fold(word))}s?(?!\w)")
    found = [sentence for sentence, folded in _sentences() if wanted.search(folded)]
    return min(found, key=lambda sentence: abs(len(sentence.split()) - 5), default=None)


@cache
def _sentences() -> tuple[tuple[str, str], ...]:
    """(A quoted sentence of three words or more in the data, the same folded)"""
    return tuple((sentence, fold(sentence)) for sentence in dict.fromkeys(_quoted()))


def _quoted() -> Iterator[str]:
    yield from json.loads(data_file("teaching/examples.json").read_text("utf-8"))
    for file in ("differences.json", "grammar.json", "meanings.json"):
        for quoted in re.findall(r"\"([^\"]+)\"", " \n ".join(_texts(file))):
            sentence = quoted.strip(" .")
            if len(sentence.split()) >= 3:
                yield sentence


def _texts(file: str) -> list[str]:
    data = json.loads(data_file(f"teaching/{file}").read_text("utf-8"))
    return list(data.values()) if isinstance(data, dict) else [row["text"] for row in data]


@cache
def _synonyms() -> dict[str, list[str]]:
    return json.loads(data_file("teaching/synonyms.json").read_text("utf-8"))


def _synonym(text: str) -> WordAnswer | None:
    found = _SYNONYM.search(text)
    if found is None:
        return None
    word = _asked(found).lower()
    known = _synonyms().get(word)
    if known is None and (same := _synonyms().get(masculine(word) or "")):
        known = [feminine(other) or other for other in same]
    if known is None:
        known = [other for other, same in _synonyms().items() if word in same]
    return (
        WordAnswer(f'Em vez de "{word}" a gente diz ' + " ou ".join(f'"{other}"' for other in known[:2]) + ".")
        if known
        else None
    )


def _sound(text: str) -> WordAnswer | None:
    found = _SOUND.search(text)
    if found is None:
        return None
    word = _asked(found).lower()
    return (
        WordAnswer(f'Ouça e repita: "{word}".')
        if " " in word
        else WordAnswer(f'Ouça: "{word}". As letras são {spelt(word)}.')
    )


def is_portuguese_enough(phrase: str) -> bool:
    """Whether most of its words are Portuguese; a learner's phrase may hold one that is not."""
    return not is_foreign(phrase) and not has_foreign_words(phrase)


def _right(text: str) -> WordAnswer | None:
    """Only what the error rules see is called wrong, and nothing is sworn to be right."""
    found = _RIGHT.search(text)
    if found is None:
        return None
    phrase = found["phrase"] or found["before"]
    if not is_portuguese_enough(phrase):
        return None
    errors: list[Correction] = find_errors(phrase)
    if errors:
        return WordAnswer(f'A gente diz "{mended(phrase, errors).strip(" .!?")}".')
    return WordAnswer(f'Em "{phrase}" eu não vejo nenhum erro.') if len(phrase.split()) > 1 else None


def _which_is_right(text: str) -> WordAnswer | None:
    """Of two phrases the one in which the rules see no error, if they see one in the other."""
    found = _EITHER.search(text)
    if found is None:
        return None
    wrong = [bool(find_errors(phrase)) for phrase in found.groups()]
    if wrong[0] == wrong[1]:
        return None
    return WordAnswer(f'A gente diz "{found[2] if wrong[0] else found[1]}".')


def _participle(text: str) -> WordAnswer | None:
    found = _PARTICIPLE.search(text)
    if found is None:
        return None
    verb = _asked(found).lower()
    irregular = next((form for form, infinitive in IRREGULAR_PARTICIPLES.items() if infinitive == verb), None)
    if irregular is None and (not verb.endswith(("ar", "er", "ir")) or not is_portuguese(verb)):
        return None
    form = irregular or verb[:-2] + ("ado" if verb.endswith("ar") else "ido")
    return WordAnswer(f'O particípio de "{verb}" é "{form}".')


@cache
def _things() -> tuple[tuple[re.Pattern[str], str], ...]:
    rows = json.loads(data_file("teaching/described.json").read_text("utf-8"))
    return tuple((re.compile(row["asks"], re.IGNORECASE), row["word"]) for row in rows)


def _described(text: str) -> WordAnswer | None:
    if not _DESCRIBED.search(text):
        return None
    return next((WordAnswer(f'A gente diz "{word}".') for asks, word in _things() if asks.search(text)), None)
