"""One encoded picture to pixels of the model's shape."""

import ctypes
import io
import logging
import threading
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path, PurePath

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from trainer.data.metadata import without_metadata
from trainer.data.sources import Damage, Images, Shape, reading
from trainer.survey.colours import shows_colours

MOST_PIXELS = 1 << 28
"""Of one picture: phones make 200 million."""
MOST_MEMORY = 3 << 30
"""Bytes that reading one picture may take beside its file: 2 GiB for two copies of four bytes a pixel, or 1.6
that libjpeg holds of a progressive one beside the first."""
# What other decoders hold beside the picture: WebP's three more copies, JPEG 2000's 32 bits for each channel.
_COPIES = {"WEBP": 4, "AVIF": 4, "JPEG2000": 4}
_LARGE_PIXELS = 1 << 25  # more than this, and one picture at a time is read: 16 threads would take 16 GiB
_BAND_PIXELS = 1 << 20  # converted at once: its copies take some 20 MiB
_large = threading.Lock()

# What tells by its first bytes what it is; EPS, PDF and WMF run other programs, and movies are no pictures.
_KNOWN = (
    *("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "JPEG2000", "AVIF", "PPM", "QOI", "PSD"),
    *("SGI", "DDS", "ICNS", "SUN", "IM", "MSP", "XBM", "XPM"),
)
_BY_NAME = ("TGA", "PCX", "DCX", "ICO", "CUR")  # anything may be taken for one of these
Image.init()
_FORMATS = tuple(kind for kind in _KNOWN if kind in Image.OPEN)  # an MPO is a JPEG
_ENDINGS = {
    ending: kind for ending, kind in Image.registered_extensions().items() if kind in (*_KNOWN, *_BY_NAME)
}
ENDINGS = tuple(sorted(_ENDINGS))
"""Endings of the files that are read, lower case."""

# Our own limit is asked for before a picture is read, in words of our own.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module=r"PIL\.")  # about metadata, mostly; pixels count
logging.getLogger("PIL").setLevel(logging.CRITICAL)


def _silence_libtiff() -> None:
    """Keep libtiff, the one that Pillow has loaded, from printing what Pillow raises as well."""
    with suppress(OSError, AttributeError):
        maps = Path("/proc/self/maps").read_text()
        for library in {line.split()[-1] for line in maps.splitlines() if "libtiff" in line}:
            loaded = ctypes.CDLL(library)
            loaded.TIFFSetErrorHandler(None)
            loaded.TIFFSetWarningHandler(None)


_silence_libtiff()

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(
    name: str,
    where: str,
    content: bytes | Path,
    shape: Shape | None,
    has_colours: Callable[[], object] = lambda: None,
) -> Images:
    """Decode an image and fit it to a shape.

    The image is turned as its EXIF data says, converted to grey (ITU-R 601 luma) or RGB, scaled by one factor
    (Lanczos) until it covers the shape, and cropped around its centre. What is transparent becomes white; of
    several pictures in a file the first is taken. Metadata that is broken means nothing.

    Args:
        name: the source, for messages.
        where: the file or record, for messages.
        content: the encoded bytes or the file that holds them.
        shape: height, width and channels wanted; None keeps the image's own.
        has_colours: called where the shape is grey and the picture is not.

    Returns:
        uint8 [H, W, C].

    Raises:
        Damage: it is no image, or a damaged one, or one of more than `MOST_PIXELS`.
        AccessError: the file may not be read.
    """
    if isinstance(content, Path):
        with reading(name, where):
            content = content.read_bytes()
    by_name = _ENDINGS.get(PurePath(where).suffix.lower())
    formats = (*_FORMATS, by_name) if by_name in _BY_NAME else _FORMATS

    def read(data: bytes) -> Images:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            _check_size(name, where, image)
            with _large if image.width * image.height > _LARGE_PIXELS else nullcontext():
                return _fit(image, shape, has_colours)

    return _with_a_second_try(name, where, content, read)


def _with_a_second_try(name: str, where: str, content: bytes, read: Callable[[bytes], Images]) -> Images:
    """What `read` makes of a file, or of its pixels alone if that fails.

    Whatever is wrong with a file, Pillow's modules raise: besides its own errors these were KeyError,
    IndexError, TypeError, OverflowError, struct.error, AttributeError and RuntimeError.
    """
    try:
        return read(content)
    except (Damage, MemoryError):
        raise
    except Exception as first:
        bare = without_metadata(content)
        if bare != content:
            try:
                return read(bare)
            except Damage:
                raise
            except Exception:
                pass  # the first error is about the file as it is
        if isinstance(first, UnidentifiedImageError):
            what = "is neither PNG nor JPEG nor another image that is read, or damaged"
            raise Damage(name, where, "is empty" if not content else what) from first
        raise Damage(name, where, f"is damaged: {first or type(first).__name__}") from first


def _check_size(name: str, where: str, image: Image.Image) -> None:
    pixels, most = image.width * image.height, MOST_PIXELS // _COPIES.get(image.format or "", 1)
    if pixels > most:
        raise Damage(
            name,
            where,
            f"has {image.width}x{image.height} pixels, {pixels / 1e6:.0f} million, expected at most "
            f"{most / 1e6:.0f} million: make it smaller",
        )


def _fit(image: Image.Image, shape: Shape | None, has_colours: Callable[[], object]) -> Images:
    plain = _flatten(_turned(image))
    height, width, channels = shape or (plain.height, plain.width, 1 if plain.mode == "L" else 3)
    if channels == 1 and shows_colours(plain):
        has_colours()
    mode = "L" if channels == 1 else "RGB"
    plain = plain if plain.mode == mode else plain.convert(mode)  # which would copy it
    fitted = ImageOps.fit(plain, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted, np.uint8).reshape(height, width, channels)


def _turned(image: Image.Image) -> Image.Image:
    """The image upright; EXIF data that cannot be read turns nothing."""
    image.load()  # first: a PNG may say it after its pixels
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        turn = None
    if turn is None:
        return image
    turned = image.transpose(turn)
    image.close()  # gives its memory back
    return turned


def _flatten(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB; a large one band by band, so that it is in memory twice and no more."""
    scale = _scale(image) if image.mode == "F" else 1.0
    rows = max(1, _BAND_PIXELS // image.width)
    if rows >= image.height:
        return _flat(image, scale)
    if image.mode in ("L", "RGB") and not image.has_transparency_data:
        return image
    whole = None
    for top in range(0, image.height, rows):
        band = _flat(image.crop((0, top, image.width, min(top + rows, image.height))), scale)
        whole = whole or Image.new(band.mode, image.size)
        whole.paste(band, (0, top))
    assert whole is not None
    image.close()
    return whole


def _flat(image: Image.Image, scale: float) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion would clip everything above 255 to white.
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image), posinf=255.0, neginf=0.0)
        return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        flat = Image.alpha_composite(white, over).convert("RGB")
        return flat.convert("L") if image.mode in ("L", "LA", "1") else flat
    return image.convert("L" if image.mode in ("L", "1") else "RGB")


def _scale(image: Image.Image) -> float:
    """What makes 8 bits of grey floats in [0, 1], or in [0, 255] where some value is more than 1."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        if np.nan_to_num(band, posinf=255.0, neginf=0.0).max(initial=0.0) > 1:
            return 1.0
    return 255.0
