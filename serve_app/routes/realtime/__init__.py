"""OpenAI's Realtime protocol over a WebSocket; README.md beside this file has the matrix of events."""
