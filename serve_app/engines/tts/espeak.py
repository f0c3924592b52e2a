"""Portuguese text as the phonemes that Kokoro was trained on: espeak's, with misaki's letters for double sounds.

kokoro-onnx alone gives the model "t" and "ʃ" where it learned "ʧ", and speaks the flags around a word that espeak reads
in English ("(en)mˈaɪkəl(pt)").
"""

from __future__ import annotations

from functools import cache

from kokoro_onnx.tokenizer import _espeak_lock  # espeak is not thread-safe, and the library has one lock for it
from phonemizer.backend import EspeakBackend

from serve_app.engines.tts.lone_letters import letters_spelled

_ONE_SOUND = {
    **{"t^ʃ": "ʧ", "d^ʒ": "ʤ", "t^s": "ʦ", "d^z": "ʣ"},
    **{"e^ɪ": "A", "a^ɪ": "I", "a^ʊ": "W", "o^ʊ": "O", "ə^ʊ": "Q", "ɔ^ɪ": "Y"},
}
"""misaki.espeak.EspeakG2P.e2m: espeak's tied pairs, and the letter for each."""


@cache
def _backend(language: str) -> EspeakBackend:
    """One for a process: each copies the library into a temporary folder, which a killed process leaves behind."""
    return EspeakBackend(language, preserve_punctuation=True, with_stress=True, tie="^", language_switch="remove-flags")


def phonemes(text: str, language: str) -> str:
    """As the model takes them; characters that it does not know are left in."""
    lines = [line for line in letters_spelled(text).splitlines() if line.strip()]
    with _espeak_lock:
        said = "\n".join(_backend(language).phonemize(lines)) if lines else ""
    said = said.strip()
    for pair, letter in _ONE_SOUND.items():
        said = said.replace(pair, letter)
    return said.replace("^", "").replace("-", "")
