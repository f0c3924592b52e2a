from .. import InterpolationMode


def __getattr__(n):
    if n.startswith("__"):
        raise AttributeError(n)

    def f(*a, **k):
        raise RuntimeError("torchvision stub: " + n)

    return f
