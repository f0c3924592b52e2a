"""A learner's side of a conversation, spoken by Kokoro: twenty utterances of two to five seconds."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from serve_app.audio import wav
from serve_app.engines.tts.kokoro_onnx import KokoroOnnx
from serve_app.weights.model_names import cache_folder, resolve

VOICES = Path(__file__).parent.parent / "serve_app/data/voices"
VOICE = "pm_alex"

UTTERANCES = (
    "Oi, tudo bem? Eu me chamo Pedro e sou da Espanha.",
    "Eu moro em São Paulo há dois meses e gosto muito da cidade.",
    "Eu trabalho em um banco, mas quero ser professor.",
    "No fim de semana eu gosto de jogar futebol com os meus amigos.",
    "Ontem eu fui ao mercado e comprei frutas e leite.",
    "Minha irmã mora em Madri e tem dois filhos pequenos.",
    "Eu quero viajar para a Bahia no próximo verão.",
    "Eu gosto de comer feijoada, mas não gosto de café.",
    "Hoje está chovendo muito e eu fiquei em casa.",
    "Você pode me falar um bom filme brasileiro?",
    "Eu assisti um filme muito bonito na semana passada.",
    "O meu professor de português é muito paciente.",
    "Eu acho que a língua portuguesa é difícil, mas bonita.",
    "De manhã eu tomo um suco de laranja e como pão.",
    "Eu preciso comprar um presente para a minha mãe.",
    "Meu avô tem noventa anos e ainda trabalha na fazenda.",
    "Eu gostaria de aprender a tocar violão este ano.",
    "No domingo nós vamos fazer um churrasco na praia.",
    "Eu perdi o ônibus e cheguei atrasado no trabalho.",
    "Obrigado pela conversa, eu aprendi muito hoje.",
)


def recordings(count: int = len(UTTERANCES)) -> list[bytes]:
    """The first `count` utterances as WAV files, made once and kept beside the weights."""
    return asyncio.run(spoken(UTTERANCES[:count]))


async def spoken(texts: Sequence[str], voice: str = VOICE) -> list[bytes]:
    """The texts as WAV files, made once and kept beside the weights."""
    folder = cache_folder() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    keys = [text if voice == VOICE else f"{voice}: {text}" for text in texts]
    paths = [folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.wav" for key in keys]
    missing = [(text, path) for text, path in zip(texts, paths, strict=True) if not path.exists()]
    if missing:
        engine = KokoroOnnx(resolve("wheel:kokoro-82m"), voices={path.stem: path for path in VOICES.glob("*.bin")})
        for text, path in missing:
            parts = [part async for part in engine.synthesize(text, voice=voice, speed=1.0)]
            path.write_bytes(wav(np.concatenate(parts), engine.sample_rate))
    return [path.read_bytes() for path in paths]
