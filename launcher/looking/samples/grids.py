"""Which grids a run has drawn, and one of them brought to this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from launcher.errors import SpecError
from launcher.local_file import write_file
from launcher.records.run_folder import Found
from launcher.records.status import read_json
from trainer.errors import AccessError, GantryError
from trainer.run import best, layout
from trainer.storage import Store

_NAMED = 5  # steps that an error names
_ENDING = ".png"


class Grid(NamedTuple):
    """One grid of samples."""

    step: int
    """0 before the first step."""
    name: str
    """Of the object in the run."""
    size: int
    """Bytes."""
    updated: str
    """ISO time, UTC."""
    generation: int
    """Changes when it is drawn again."""

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"step {self.step}"


class RealGrid(NamedTuple):
    """The grid of images of the data, for comparison."""

    name: str
    size: int
    updated: str

    @property
    def step(self) -> None:
        """It is of no step."""

    @property
    def title(self) -> str:
        """What it is, for people."""
        return "real images"


@dataclass(frozen=True)
class Fetched:
    """A grid that was copied."""

    step: int | None
    """None for the grid of real images."""
    path: str
    bytes: int


def list_grids(store: Store) -> list[Grid]:
    """All grids of the generator in order of their steps, by one listing."""
    found = []
    for stat in store.list("samples/"):
        step = layout.sample_step(stat.name)
        if step is not None:
            found.append(Grid(step, stat.name, stat.size, stat.updated.isoformat(), stat.generation))
    return sorted(found)


def choose(found: Found, grids: Sequence[Grid], step: int | None = None) -> Grid:
    """The newest grid, or that of a step.

    Raises:
        SpecError: the run has none yet, or none of that step.
    """
    check_any(found, grids)
    if step is None:
        return grids[-1]
    for grid in grids:
        if grid.step == step:
            return grid
    near = sorted(sorted(grids, key=lambda grid: abs(grid.step - step))[:_NAMED])
    steps = ", ".join(str(grid.step) for grid in near)
    more = f" (the nearest of {len(grids)})" if len(grids) > _NAMED else ""
    raise SpecError(f"--step {step}: run '{found.path.name}' has no grid of that step; it has {steps}{more}")


def real_grid(found: Found) -> RealGrid:
    """The grid of real images.

    Raises:
        SpecError: the run has none.
    """
    stat = found.store.stat(layout.REAL_GRID)
    if stat is None:
        raise SpecError(
            f"--real: run '{found.path.name}' has no {layout.REAL_GRID}, which trainers write that draw one"
        )
    return RealGrid(stat.name, stat.size, stat.updated.isoformat())


def best_grid(found: Found) -> Grid:
    """The grid of the best checkpoint.

    Raises:
        SpecError: the run has none.
    """
    chosen, stat = best.read(found.store), found.store.stat(layout.BEST_GRID)
    if chosen is None or stat is None:
        lacks = layout.BEST if chosen is None else layout.BEST_GRID
        raise SpecError(
            f"--best: run '{found.path.name}' has no {lacks}, which a run has that is judged while it trains "
            "(evaluation.every_steps)"
        )
    return Grid(chosen["step"], stat.name, stat.size, stat.updated.isoformat(), stat.generation)


def check_any(found: Found, grids: Sequence[Grid]) -> None:
    """Refuse a run that has drawn nothing yet.

    Raises:
        SpecError: with the step by which it will.
    """
    if grids:
        return
    try:
        config = (read_json(found.store, layout.RUN) or {}).get("config") or {}
        every, steps = config["samples"]["every_steps"], config["steps"]
        when = f": a grid is drawn after step {min(every, steps)} at the latest"
    except (GantryError, KeyError, TypeError):
        when = ""
    raise SpecError(f"run '{found.path.name}' has no samples yet{when}")


def check_out(out: Path) -> None:
    """Refuse a path that is neither a PNG file's nor a folder's, before anything is asked.

    Raises:
        SpecError: it ends otherwise.
    """
    if not out.is_dir() and out.suffix.lower() not in ("", _ENDING):
        raise SpecError(f"--out {out}: expected a name that ends with {_ENDING}, or a folder")


def fetch(found: Found, grid: Grid | RealGrid, out: Path) -> Fetched:
    """Copy a grid to a file that ends with ``.png``, or as ``<run>-<step>.png`` into a folder, which is made.

    Raises:
        AccessError: the folder refuses.
        ObjectMissing: the grid was removed since it was listed.
    """
    content = found.store.read(grid.name)
    path = out
    if out.is_dir() or out.suffix.lower() != _ENDING:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = str(error.strerror).lower()
            raise AccessError(f"--out {out}: cannot be made a folder ({reason})") from None
        ending = "best.png" if grid.name == layout.BEST_GRID else grid.name.rpartition("/")[2]
        path = out / f"{found.path.name}-{ending}"
    write_file("--out", path, content)
    return Fetched(grid.step, str(path), len(content))
