"""Parle: a speech-to-speech tutor for learners of Portuguese, as a Ray Serve graph."""

__version__ = "0.1.0"
