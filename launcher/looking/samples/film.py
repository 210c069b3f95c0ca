"""All grids of a run in order as an animated GIF: the same latents, from noise to pictures.

A GIF has at most 256 colours. Grey grids have no more; for RGB one palette is made of frames from all over
the run and used for every frame, without dithering: a palette for each frame, or dither, would make flat
areas flicker.
"""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.local_file import check_folder, write_file
from launcher.looking.samples.grids import Grid, check_any, list_grids
from launcher.looking.samples.pictures import Damaged, open_picture, pillow
from launcher.records.run_folder import Found
from trainer.errors import GantryError, ObjectMissing

if TYPE_CHECKING:
    from PIL.Image import Image

FPS = 8.0
_LAST_MS = 2000  # beyond a frame's time: what one came to see stays
_READERS = 8  # grids at once from a bucket
_SMALLEST = 400  # pixels of the shorter side, as trainers draw; before that a grid of 28x28 digits was 152
_PALETTE_FRAMES = 16
_WHITE, _BLACK = "white", "black"


@dataclass(frozen=True)
class Film:
    """A GIF that was made."""

    path: str
    steps: list[int] = field(default_factory=list)
    """Of its frames, in order."""
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    """Grids that could not be read and are left out."""


def make_film(found: Found, path: Path, fps: float = FPS, *, numbers: bool = False) -> Film:
    """Write all grids of a run as one GIF that repeats for ever.

    Args:
        found: the run.
        path: the file.
        fps: frames a second, at most 50; a GIF counts in hundredths of a second.
        numbers: write the step below each frame.

    Raises:
        SpecError: the run has no samples yet.
        GantryError: all of them are damaged.
        NotInstalled: Pillow is missing.
        AccessError: the file cannot be written.
    """
    pillow()
    check_folder("--gif", path)
    grids = list_grids(found.store)
    check_any(found, grids)
    damaged: list[str] = []
    pictures, steps = [], []
    for grid, picture in _pictures(found, grids, damaged):
        pictures.append(_enlarged(picture))
        steps.append(grid.step)
    if not pictures:
        raise GantryError(f"{found.store.url}/samples: every grid is damaged, expected PNG pictures")
    frames = _of_one_size(pictures)
    if numbers:
        frames = [_numbered(frame, step) for frame, step in zip(frames, steps, strict=True)]
    content = encode(frames, fps)
    write_file("--gif", path, content)
    return Film(str(path), steps, len(content), damaged)


def _pictures(found: Found, grids: Sequence[Grid], damaged: list[str]) -> "Iterator[tuple[Grid, Image]]":
    """Each grid with its pixels, in order; the names of those that cannot be read are added to `damaged`."""

    def load(grid: Grid) -> "Image | Damaged | None":
        try:
            return open_picture(found.store.read(grid.name), grid.name)
        except Damaged as error:
            return error
        except ObjectMissing:  # removed by a resumed run meanwhile
            return None

    with ThreadPoolExecutor(_READERS, thread_name_prefix="grids") as readers:
        for grid, picture in zip(grids, readers.map(load, grids), strict=True):
            if isinstance(picture, Damaged):
                damaged.append(grid.name)
            elif picture is not None:
                yield grid, picture


def _enlarged(picture: "Image") -> "Image":
    """A grid as it is shown: larger by a whole factor where it is small."""
    factor = max(1, -(-_SMALLEST // min(picture.size)))
    return picture.resize((picture.width * factor, picture.height * factor), pillow().Resampling.NEAREST)


def _of_one_size(pictures: "list[Image]") -> "list[Image]":
    """All as large as the largest: a run that another revision goes on with draws grids of another size."""
    image = pillow()
    size = max((picture.size for picture in pictures), key=lambda size: size[0] * size[1])
    return [
        picture if picture.size == size else picture.resize(size, image.Resampling.NEAREST)
        for picture in pictures
    ]


def _numbered(picture: "Image", step: int) -> "Image":
    from PIL import ImageDraw, ImageFont

    image = pillow()
    height = max(14, picture.height // 14)
    sheet: Image = image.new(picture.mode, (picture.width, picture.height + height), _WHITE)
    sheet.paste(picture, (0, 0))
    place = (picture.width / 2, picture.height + height / 2 - 1)
    font = ImageFont.load_default(size=0.72 * height)
    ImageDraw.Draw(sheet).text(place, f"step {step:,}", fill=_BLACK, font=font, anchor="mm")
    return sheet


def encode(frames: "Sequence[Image]", fps: float) -> bytes:
    """Frames as a GIF, the last one held for two seconds more.

    Args:
        frames: pictures of one size, each of mode L or RGB.
        fps: frames a second.
    """
    first, *rest = _one_palette(frames)
    each = max(20, round(100 / fps) * 10)  # browsers take less than 20 ms for 100
    durations = [each] * len(rest) + [each + _LAST_MS]
    content = io.BytesIO()
    first.save(
        content,
        format="GIF",
        save_all=True,
        append_images=rest,
        duration=durations if rest else durations[0],
        loop=0,
        optimize=False,
    )
    return content.getvalue()


def _one_palette(frames: "Sequence[Image]") -> "list[Image]":
    """Frames with the same colours: grey ones as they are, others by one palette."""
    image = pillow()
    if all(frame.mode == "L" for frame in frames):
        return list(frames)
    chosen = frames[:: max(1, len(frames) // _PALETTE_FRAMES)]
    width, height = frames[0].size
    sheet = image.new("RGB", (width, height * len(chosen)))
    for row, frame in enumerate(chosen):
        sheet.paste(frame, (0, row * height))
    palette = sheet.quantize(256, method=image.Quantize.MEDIANCUT)
    return [frame.convert("RGB").quantize(palette=palette, dither=image.Dither.NONE) for frame in frames]
