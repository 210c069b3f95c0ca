"""The grids of a run as images inside the page: some of them, evenly chosen, and none too large."""

import base64
import io
from typing import NamedTuple

from launcher.errors import NotInstalled
from trainer.errors import ObjectMissing
from trainer.run import layout
from trainer.storage import Store

MOST = 24  # grids of a report
_MOST_BYTES = 120_000  # of one grid: 24 of them, real images and a page stay below 4.2 MB in base64
_EDGES = (800, 560, 400, 280)  # pixels, tried in this order when a grid is too large
_QUALITY = 85
_LARGEST_READ = 64 << 20  # bytes; a grid of 32 by 32 images of 1024 pixels takes more, and a browser too


class Grid(NamedTuple):
    """One grid as it stands in the page."""

    step: int | None
    """None for real images."""
    uri: str
    """``data:image/…;base64,…``"""
    width: int
    height: int
    """Pixels."""
    reduced: bool
    """Whether it is a smaller copy of the run's own."""


class Grids(NamedTuple):
    """What a page shows of a run's grids."""

    shown: list[Grid]
    """By step."""
    in_run: int
    """Grids that the run has."""
    damaged: list[str]
    """Names of those that are no picture."""
    real: Grid | None
    """Of real images, which a run of before may lack."""
    best: Grid | None
    """Of the best checkpoint; its step is the status' to tell."""


def read_grids(store: Store, most: int = MOST) -> Grids:
    """At most so many grids of a run, evenly chosen, the first and the newest among them.

    Raises:
        NotInstalled: Pillow is not there.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise NotInstalled("Pillow is not installed: pip install 'gantry[look]'") from None
    Image.init()
    listed = [*store.list("samples/"), *filter(None, [store.stat(layout.BEST_GRID)])]
    sizes = {stat.name: stat.size for stat in listed}
    steps = sorted(step for step in map(layout.sample_step, sizes) if step is not None)
    damaged: list[str] = []

    def read(step: int | None, name: str) -> Grid | None:
        try:
            if sizes[name] <= _LARGEST_READ:
                return _embed(step, store.read(name))
        except ObjectMissing:  # a resumed run removed it meanwhile
            return None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises
            pass
        damaged.append(name)
        return None

    shown = [read(step, layout.sample_grid(step)) for step in evenly(steps, most)]
    real, best = (
        read(None, name) if name in sizes else None for name in (layout.REAL_GRID, layout.BEST_GRID)
    )
    return Grids([grid for grid in shown if grid is not None], len(steps), damaged, real, best)


def evenly(steps: list[int], most: int) -> list[int]:
    """At most `most` entries of a list, at even distances, its first and its last among them."""
    if len(steps) <= most:
        return steps
    return [steps[round(place * (len(steps) - 1) / (most - 1))] for place in range(most)]


def _embed(step: int | None, content: bytes) -> Grid:
    """A picture inside the page; a large one is drawn again smaller.

    Raises:
        OSError, ValueError, SyntaxError: it is no picture.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        image.load()
        width, height = image.size
        if len(content) <= _MOST_BYTES:
            return Grid(step, _uri("png", content), width, height, False)
        small = image.convert("RGB")
    for edge in _EDGES:
        small.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        small.save(stream, "JPEG", quality=_QUALITY, optimize=True)
        if stream.tell() <= _MOST_BYTES:
            break
    return Grid(step, _uri("jpeg", stream.getvalue()), *small.size, True)


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
