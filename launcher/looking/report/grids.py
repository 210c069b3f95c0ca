"""The grids of a run as images inside the page: some of them, evenly chosen, and none too large."""

import base64
import io
from typing import NamedTuple

from launcher.errors import NotInstalled
from trainer.errors import ObjectMissing
from trainer.run import layout
from trainer.storage import Store

MOST = 24  # grids of a report
_MOST_BYTES = 120_000  # of one grid: 24 of them and a page stay below 4 MB in base64
_EDGES = (800, 560, 400, 280)  # pixels, tried in this order when a grid is too large
_QUALITY = 85
_LARGEST_READ = 64 << 20  # bytes; a grid of 32 by 32 images of 1024 pixels takes more, and a browser too


class Grid(NamedTuple):
    """One grid as it stands in the page."""

    step: int
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
    sizes = {layout.sample_step(stat.name): stat.size for stat in store.list("samples/")}
    steps = sorted(step for step in sizes if step is not None)
    shown, damaged = [], []
    for step in evenly(steps, most):
        name = layout.sample_grid(step)
        if sizes[step] > _LARGEST_READ:
            damaged.append(name)
            continue
        try:
            shown.append(_embed(step, store.read(name)))
        except ObjectMissing:  # a resumed run removed it meanwhile
            continue
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises
            damaged.append(name)
    return Grids(shown, len(steps), damaged)


def evenly(steps: list[int], most: int) -> list[int]:
    """At most `most` entries of a list, at even distances, its first and its last among them."""
    if len(steps) <= most:
        return steps
    return [steps[round(place * (len(steps) - 1) / (most - 1))] for place in range(most)]


def _embed(step: int, content: bytes) -> Grid:
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
