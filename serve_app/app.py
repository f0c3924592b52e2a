"""The CPU stack as a ready-built application: `serve build serve_app.app:app`, `serve run serve_app.app:app`."""

from serve_app.ingress import build
from serve_app.stack import LexicalCefrConfig, StackArgs

app = build(StackArgs(cefr=LexicalCefrConfig(engine="lexical")))
