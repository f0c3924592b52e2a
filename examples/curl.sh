#!/bin/sh
# One turn over server-sent events, for a shell script or a first look: what is said in FILE, and the answer.
#
#     sh examples/curl.sh pergunta.wav [http://HOST:PORT]
#
# -N prints each event as it comes. More fields go in the same way: -F session_id=aula-1 continues a conversation,
# -F order=eager sends each piece of sound as soon as it exists, -F speed=0.7 speaks slowly (docs/wire.md).
# Each `audio` event holds a complete WAV file in base64. To put them into files, 0.wav and so on, append
#     | sed -n 's/^data: {"chunk":"\([^"]*\)".*/\1/p' | { n=0; while read -r c; do echo "$c" | base64 -d >$n.wav; n=$((n+1)); done; }
curl -sS -N --fail-with-body -F "audio=@${1:?a recording is missing, as in: sh curl.sh pergunta.wav}" "${2:-http://127.0.0.1:8000}/api/stream-audio"
