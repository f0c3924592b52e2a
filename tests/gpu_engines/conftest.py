"""One Ray with a logical GPU for both stacks, and what is asked of them."""

from gpu_engines.stacks import card, question, whisper_folder

__all__ = ["card", "question", "whisper_folder"]
