"""What the README's figures come from. Each module runs by itself: `python -m bench.turns --help`."""
