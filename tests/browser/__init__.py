"""The page in a real Chromium, against a real server, with a microphone that speaks Portuguese."""
