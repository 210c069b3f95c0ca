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
from trainer.run import layout
from trainer.storage import Store

_NAMED = 5  # steps that an error names


class Grid(NamedTuple):
    """One grid of samples."""

    step: int
    name: str
    """Of the object in the run."""
    size: int
    """Bytes."""
    updated: str
    """ISO time, UTC."""
    generation: int
    """Changes when it is drawn again."""


@dataclass(frozen=True)
class Fetched:
    """A grid that was copied."""

    step: int
    path: str
    bytes: int


def list_grids(store: Store) -> list[Grid]:
    """All grids of a run in order of their steps, by one listing."""
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


def check_any(found: Found, grids: Sequence[Grid]) -> None:
    """Refuse a run that has drawn nothing yet.

    Raises:
        SpecError: with the step at which it will.
    """
    if grids:
        return
    try:
        config = (read_json(found.store, layout.RUN) or {}).get("config") or {}
        every, steps = config["samples"]["every_steps"], config["steps"]
        when = f": the first grid is drawn after step {min(every, steps)}"
    except (GantryError, KeyError, TypeError):
        when = ""
    raise SpecError(f"run '{found.path.name}' has no samples yet{when}")


def fetch(found: Found, grid: Grid, to: Path) -> Fetched:
    """Copy a grid into a folder, which is made, as ``<run>-<step>.png``.

    Raises:
        AccessError: the folder refuses.
        ObjectMissing: the grid was removed since it was listed.
    """
    content = found.store.read(grid.name)
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AccessError(f"--to {to}: cannot be made a folder ({str(error.strerror).lower()})") from None
    path = to / f"{found.path.name}-{grid.step}.png"
    write_file("--to", path, content)
    return Fetched(grid.step, str(path), len(content))
