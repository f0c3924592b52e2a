"""Scenarios: a lesson as a scene to play, with a goal and steps towards it, from YAML files (docs/lessons.md)."""
