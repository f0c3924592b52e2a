"""One spoken exchange through OpenAI's Python SDK: hear a recording, answer it, speak the answer into a file.

python examples/openai_sdk.py pergunta.wav resposta.mp3 [http://HOST:PORT]

Needs `pip install openai`. A server with keys takes one from the environment: OPENAI_API_KEY. See docs/openai.md.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from openai import OpenAI


def main(recording: Path, answer: Path, server: str = "http://127.0.0.1:8000") -> None:
    parle = OpenAI(base_url=f"{server}/v1", api_key=os.environ.get("OPENAI_API_KEY", "none"))
    heard = parle.audio.transcriptions.create(model="whisper-1", file=recording)
    print("heard:", heard.text)
    reply = ""
    for chunk in parle.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": heard.text}], stream=True
    ):
        text = chunk.choices[0].delta.content or ""
        print(text, end="", flush=True)
        reply += text
    print()
    with parle.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input=reply) as speech:
        speech.stream_to_file(answer)


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit(f"usage: {sys.argv[0]} RECORDING ANSWER.mp3 [http://HOST:PORT]")
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
