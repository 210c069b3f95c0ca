"""Which files of a run a download takes.

A checkpoint without a manifest, or with an empty one, does not exist (see `trainer.run.layout`): its files
may still be on their way, or stay unfinished for ever, so they are never taken. The manifests are fetched
after everything else, so that the law holds in the local folder too, wherever the download is cut off.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from launcher.artifacts.listing import Listing, check_kinds, kind_of
from launcher.artifacts.paths import local_path
from launcher.errors import SpecError
from trainer.run import layout
from trainer.storage import Stat

_OF_A_STEP = frozenset({"checkpoints", "samples"})
# What `latest` takes; run.json says how to read the checkpoint.
_LATEST = _OF_A_STEP | {"export", "metrics", "evaluations", layout.BEST, layout.RUN, layout.RESULT}
_NAMED = 5  # steps that an error names


@dataclass(frozen=True)
class Selection:
    """What was asked for; conditions narrow each other down.

    Raises:
        SpecError: `step` and `latest` together.
    """

    only: frozenset[str] = frozenset()
    """Kinds of files (see `kind_of`); empty for all."""
    step: int | None = None
    """The complete checkpoint and grid of this step alone, and the grid of real images beside it."""
    latest: bool = False
    """The newest complete checkpoint and grids alone, export, metrics, evaluations, best.json, run.json,
    result.json."""

    def __post_init__(self) -> None:
        if self.step is not None and self.latest:
            raise SpecError(f"--step {self.step} and --latest: expected one of the two")
        if not self.kinds and self.only:
            option = "--latest" if self.latest else f"--step {self.step}"
            raise SpecError(
                f"{option} with --only {','.join(sorted(self.only))}: expected some of "
                f"{', '.join(sorted(_LATEST if self.latest else _OF_A_STEP))}"
            )

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds that may be taken; empty for all."""
        allowed = _LATEST if self.latest else _OF_A_STEP if self.step is not None else self.only
        return allowed & self.only if self.only else allowed

    @property
    def one_step(self) -> bool:
        """Whether at most one checkpoint and one grid are taken."""
        return self.latest or self.step is not None

    def wants(self, kind: str) -> bool:
        """Whether files of a kind may be taken."""
        return not self.kinds or kind in self.kinds


@dataclass
class Survey:
    """What one pass over a listing finds; its size depends on the number of checkpoints alone."""

    step: int | None
    """Step whose grid is asked for; None for the newest."""
    bytes: Counter[str] = field(default_factory=Counter)
    """By kind, without checkpoints."""
    checkpoints: Counter[int] = field(default_factory=Counter)
    """Bytes by step, complete or not."""
    manifests: dict[int, Stat] = field(default_factory=dict)
    """Of complete checkpoints, by step."""
    grid: Stat | None = None
    real: Stat | None = None
    """The grid of real images."""

    def add(self, found: Stat) -> None:
        """Take an object into account."""
        checkpoint, grid = layout.checkpoint_step(found.name), _grid_step(found.name)
        self.bytes[kind_of(found.name)] += 0 if checkpoint is not None else found.size
        if checkpoint is not None:
            self.checkpoints[checkpoint] += found.size
            if layout.is_complete(found.name, found.size):
                self.manifests[checkpoint] = found
        elif found.name == layout.REAL_GRID:
            self.real = found
        elif grid is not None and self._is_wanted(grid):
            self.grid = found

    def _is_wanted(self, grid: int) -> bool:
        if self.step is not None:
            return grid == self.step
        return self.grid is None or grid > (_grid_step(self.grid.name) or 0)


class Plan:
    """What a download takes: found out by one pass over the listing, streamed by another."""

    def __init__(self, listing: Listing, selection: Selection) -> None:
        """Look at everything that there is.

        Raises:
            SpecError: the run has nothing of a kind, or of the step.
            AccessError: a name could leave the folder.
        """
        self._listing, self._selection, self._seen = listing, selection, Survey(selection.step)
        for found in listing:
            local_path(Path(), found.name)
            self._seen.add(found)
        check_kinds(selection.only, self._seen.bytes)
        self._steps = self._chosen_steps()
        if selection.step is not None:
            self._check_step(selection.step)

    @property
    def total_bytes(self) -> int:
        """Size of all that is taken."""
        seen, chosen = self._seen, self._selection
        kinds = {kind for kind in seen.bytes if chosen.wants(kind)}
        grids = sum(grid.size for grid in self._grids) if chosen.one_step and "samples" in kinds else 0
        rest = kinds - {"samples"} if chosen.one_step else kinds
        checkpoints = sum(seen.checkpoints[step] for step in self._steps)
        return grids + checkpoints + sum(seen.bytes[kind] for kind in rest)

    @property
    def left_out(self) -> list[str]:
        """Folders of checkpoints that are not complete, when all checkpoints were asked for."""
        if self._selection.one_step or not self._selection.wants("checkpoints"):
            return []
        unfinished = self._seen.checkpoints.keys() - self._seen.manifests.keys()
        return [layout.checkpoint_folder(step) for step in sorted(unfinished)]

    def files(self) -> Iterator[Stat]:
        """What is taken, by name, without the manifests of checkpoints."""
        for found in self._listing:
            step = layout.checkpoint_step(found.name)
            if step is None:
                if self._takes(found.name):
                    yield found
            elif step in self._steps and found.name != layout.checkpoint_manifest(step):
                yield found

    def manifests(self) -> Iterator[Stat]:
        """The manifests of the checkpoints that are taken, as they were when the plan was made."""
        for step in sorted(self._steps):
            yield self._seen.manifests[step]

    def _takes(self, name: str) -> bool:
        """Whether an object that is no checkpoint's is taken."""
        kind = kind_of(name)
        if kind == "samples" and self._selection.one_step and name not in [grid.name for grid in self._grids]:
            return False
        return self._selection.wants(kind)

    @property
    def _grids(self) -> list[Stat]:
        """The grids that are taken where one step is."""
        return [grid for grid in (self._seen.grid, self._seen.real) if grid is not None]

    def _chosen_steps(self) -> set[int]:
        complete = set(self._seen.manifests)
        if not self._selection.wants("checkpoints"):
            return set()
        if self._selection.step is not None:
            return complete & {self._selection.step}
        return {max(complete)} if self._selection.latest and complete else complete

    def _check_step(self, step: int) -> None:
        if self._steps or (self._seen.grid and self._selection.wants("samples")):
            return
        unfinished = "an unfinished" if step in self._seen.checkpoints else "no"
        grid = " and no grid" if self._selection.wants("samples") else ""
        complete = _named(sorted(self._seen.manifests))
        raise SpecError(
            f"--step {step}: the run has {unfinished} checkpoint{grid} of that step; complete: {complete}"
        )


def _named(steps: list[int]) -> str:
    """Steps in a few words, the newest of them when there are many."""
    text = ", ".join(map(str, steps[-_NAMED:])) or "none"
    return text if len(steps) <= _NAMED else f"…, {text}"


def _grid_step(name: str) -> int | None:
    """Step of a grid of samples, None for any other object."""
    stem = PurePosixPath(name).stem
    step = int(stem) if stem.isascii() and stem.isdigit() else None
    return step if step is not None and name == layout.sample_grid(step) else None
