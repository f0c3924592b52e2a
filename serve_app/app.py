"""The CPU stack as a ready-made application: `serve build serve_app.app:app`, `serve run serve_app.app:app`."""

from serve_app.config.stack import LexicalCefrConfig, StackArgs
from serve_app.ingress import build

app = build(StackArgs(cefr=LexicalCefrConfig(engine="lexical")))
