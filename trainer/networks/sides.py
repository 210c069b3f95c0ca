"""Images that a network cannot have, since it halves maps: refused with the nearest that it can."""

from trainer.sections import Image

_LEAST, _MOST = 4, 1024  # of `Image`


def check_sides(image: Image, halvings: int, because: str) -> None:
    """Refuse an image whose sides cannot be halved so often.

    Args:
        image: what is asked for.
        halvings: how often.
        because: which field wants it, with its value.

    Raises:
        ValueError: with the side, its value and the nearest that goes.
    """
    factor = 2**halvings
    for side in ("height", "width"):
        size = getattr(image, side)
        if size % factor:
            raise ValueError(
                f"image.{side} is {size}, expected a multiple of {factor}, the nearest "
                f"{_nearest(size, factor)}: {because}"
            )


def _nearest(size: int, factor: int) -> str:
    below = size // factor * factor
    found = [each for each in (below, below + factor) if _LEAST <= each <= _MOST]
    least = min((abs(each - size) for each in found), default=0)
    nearest = [str(each) for each in found if abs(each - size) == least]
    return " or ".join(nearest) or "none that an image may have"
