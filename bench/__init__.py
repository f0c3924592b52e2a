"""Where the figures of README.md and docs/ come from. Each module runs by itself: `python -m bench.turns --help`."""
