"""One PNG or JPEG to pixels of the model's shape."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from trainer.data.sources import Images, Shape, problem, reading

_FORMATS = ("PNG", "JPEG")


def decode(name: str, where: str, content: bytes | Path, shape: Shape | None) -> Images:
    """Decode an image and fit it to a shape.

    The image is turned as its EXIF data says, converted to grey (ITU-R 601 luma) or RGB, scaled by one factor
    (Lanczos) until it covers the shape, and cropped around its centre. What is transparent becomes white.

    Args:
        name: the source, for messages.
        where: the file or record, for messages.
        content: the encoded bytes or the file that holds them.
        shape: height, width and channels wanted; None keeps the image's own.

    Returns:
        uint8 [H, W, C].

    Raises:
        DataError: it is no PNG or JPEG, or a damaged one.
        AccessError: the file may not be read.
    """
    if isinstance(content, Path):
        with reading(name, where):
            content = content.read_bytes()
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            return _fit(image, shape)
    except UnidentifiedImageError as error:
        raise problem(name, f"{where} is neither PNG nor JPEG, or damaged") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise problem(name, f"{where} is damaged: {error}") from error


def _fit(image: Image.Image, shape: Shape | None) -> Images:
    plain = _flatten(ImageOps.exif_transpose(image))
    height, width, channels = shape or (plain.height, plain.width, 1 if plain.mode == "L" else 3)
    plain = plain.convert("L" if channels == 1 else "RGB")
    fitted = ImageOps.fit(plain, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted, np.uint8).reshape(height, width, channels)


def _flatten(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB."""
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion would clip everything above 255 to white.
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        flat = Image.alpha_composite(white, over).convert("RGB")
        return flat.convert("L") if image.mode in ("L", "LA", "1") else flat
    return image.convert("L" if image.mode in ("L", "1") else "RGB")
