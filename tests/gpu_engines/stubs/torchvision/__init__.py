__version__ = "0.28.0"  # import-time stand-in: text-only tests never call it
from . import io, transforms
