"""One turn over the WebSocket: what is said in a recording, the answer as text and as a WAV file.

pip install websockets
python examples/client.py pergunta.wav resposta.wav [ws://HOST:PORT]
"""

import io
import json
import sys
import wave
from pathlib import Path

from websockets.sync.client import connect


def main(recording: str, answer: str, server: str = "ws://127.0.0.1:8000") -> None:
    """Ask, print the events as they come, join the pieces of speech into one file."""
    pieces: list[bytes] = []
    with connect(f"{server}/ws/stream", max_size=None) as connection:
        connection.send(Path(recording).read_bytes())
        for message in connection:
            if isinstance(message, bytes):  # a complete WAV file; a player would start at the first one
                pieces.append(message)
                continue
            event = json.loads(message)
            print(event)
            if event["event"] in ("complete", "error"):
                break
    if not pieces:
        sys.exit("no answer came")
    join(pieces, answer)


def join(pieces: list[bytes], path: str) -> None:
    """The pieces in one WAV file; all have the same format."""
    with wave.open(path, "wb") as joined:
        for number, piece in enumerate(pieces):
            with wave.open(io.BytesIO(piece)) as opened:
                if number == 0:
                    joined.setparams(opened.getparams())
                joined.writeframes(opened.readframes(opened.getnframes()))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
