"""From the bytes of a grid to pixels, with Pillow, which only those need who look at pictures."""

import io
from types import ModuleType
from typing import TYPE_CHECKING

from launcher.errors import NotInstalled
from trainer.errors import GantryError

if TYPE_CHECKING:
    from PIL.Image import Image


class Damaged(GantryError):
    """What should be a picture is none, or not a whole one."""


def pillow() -> ModuleType:
    """The module ``PIL.Image``.

    Raises:
        NotInstalled: Pillow is missing.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise NotInstalled("pillow is not installed: pip install 'gantry[look]'") from None
    return Image


def open_picture(content: bytes, name: str) -> "Image":
    """A picture as Pillow has it, grey (mode L) or RGB.

    Raises:
        NotInstalled: Pillow is missing.
        Damaged: it is no picture, or not a whole one; `name` is in the text.
    """
    image = pillow()
    try:
        picture = image.open(io.BytesIO(content))
        picture.load()
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError):
        raise Damaged(f"{name}: damaged, expected a PNG picture") from None
    found: Image = picture if picture.mode == "L" else picture.convert("RGB")
    return found
