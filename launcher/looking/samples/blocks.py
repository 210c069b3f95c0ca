"""A picture as characters: two pixels in each cell, the upper half block coloured above and below.

Rich turns 24-bit colours into what the terminal has, 256 or 16. Where it has none, cells are characters from
dark to bright; where the encoding has no half block, a cell is a blank on the mean of its two pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from launcher.looking.samples.pictures import open_picture, pillow

if TYPE_CHECKING:
    from PIL.Image import Image

_HALF = "▀"
_SHADES = " .:-=+*#%@"  # from dark to bright, on a dark terminal
Pixel = tuple[int, int, int]


@dataclass(frozen=True)
class Blocks:
    """A picture of so many cells, for rich to print."""

    cells: tuple[tuple[tuple[Pixel, Pixel], ...], ...]
    """Rows of cells, each the colours of its upper and its lower pixel."""

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.cells[0]) if self.cells else 0

    @property
    def height(self) -> int:
        """Lines."""
        return len(self.cells)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.width, self.width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        coloured = console.color_system is not None and not console.no_color
        for row in self.cells:
            yield from _coloured(row, options.ascii_only) if coloured else _shaded(row)
            yield Segment.line()


def blocks(content: bytes, name: str, columns: int, lines: int | None = None) -> Blocks:
    """A PNG as cells, not enlarged, and made smaller to fit.

    Args:
        content: the PNG.
        name: of the picture, for an error.
        columns: at most so many cells beside one another.
        lines: at most so many below one another; None for any number.

    Raises:
        NotInstalled: Pillow is missing.
        Damaged: it is no picture, or not a whole one.
    """
    picture = open_picture(content, name).convert("RGB")
    scale = min(1.0, max(columns, 1) / picture.width)
    if lines is not None:
        scale = min(scale, 2 * max(lines, 1) / picture.height)
    return from_picture(picture, max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))


def from_picture(picture: "Image", width: int, height: int) -> Blocks:
    """An RGB picture as `width` cells by half as many lines as `height`, rounded up."""
    image = pillow()
    even = height + height % 2
    small = picture.resize((width, height), image.Resampling.BOX)
    padded = image.new("RGB", (width, even))
    padded.paste(small, (0, 0))
    raw = padded.tobytes()
    rows = [
        [(raw[at], raw[at + 1], raw[at + 2]) for at in range(row * width * 3, (row + 1) * width * 3, 3)]
        for row in range(even)
    ]
    return Blocks(tuple(tuple(zip(rows[row], rows[row + 1], strict=True)) for row in range(0, even, 2)))


def _coloured(row: tuple[tuple[Pixel, Pixel], ...], ascii_only: bool) -> Iterator[Segment]:
    for (above, below), run in groupby(row):
        count = len(list(run))
        if ascii_only:
            yield Segment(" " * count, _style(_mean(above, below), _mean(above, below)))
        else:
            yield Segment(_HALF * count, _style(above, below))


def _style(above: Pixel, below: Pixel) -> Style:
    # Not kept for the next picture: a style remembers the codes of the first terminal it was written to.
    return Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))


def _shaded(row: tuple[tuple[Pixel, Pixel], ...]) -> Iterator[Segment]:
    brightness = [sum(_mean(above, below)) / 3 / 255 for above, below in row]
    yield Segment("".join(_SHADES[round(value * (len(_SHADES) - 1))] for value in brightness))


def _mean(above: Pixel, below: Pixel) -> Pixel:
    return (above[0] + below[0]) // 2, (above[1] + below[1]) // 2, (above[2] + below[2]) // 2
