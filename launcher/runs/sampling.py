"""New images of a run, by the trainer's own command in a process of this machine."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.records.run_folder import Found
from launcher.runs import trainer_here


@dataclass(frozen=True)
class Wanted:
    """What to draw; as ``python -m trainer sample`` has it."""

    step: int | None = None
    best: bool = False
    last_weights: bool = False
    seeds: str | None = None
    seed: int | None = None
    count: int | None = None
    truncation: float | None = None
    of_class: str | None = None
    walk: int | None = None
    fps: float | None = None

    def words(self, url: str, out: Path) -> list[str]:
        """For the trainer's command line."""
        options = ("step", "seeds", "seed", "count", "truncation", "walk", "fps")
        given = [(f"--{name}", getattr(self, name)) for name in options] + [("--class", self.of_class)]
        flags = [f"--{name.replace('_', '-')}" for name in ("best", "last_weights") if getattr(self, name)]
        # With "=", as a value may begin with a dash.
        words = [f"{name}={value}" for name, value in given if value is not None]
        return ["sample", f"--run-dir={url}", f"--out={out}", *words, *flags]


def draw(found: Found, wanted: Wanted, out: Path | None = None, *, quiet: bool = False) -> dict[str, Any]:
    """Draw images of a run into a file or folder here.

    Args:
        found: the run.
        wanted: which images.
        out: where to; None for a file of the run's name in this folder, numbered where there is one already.
        quiet: whether what the trainer says goes to the notes.

    Returns:
        ``path`` of what was written, ``run``, ``step`` of the checkpoint, ``images``, and what they are of.

    Raises:
        NotInstalled, UserError, RunFailed, TrainerRefused: as `trainer_here.call`.
    """
    out = out or _free(_names(found.path.name, ".png" if wanted.walk is None else ".gif"))
    printed = trainer_here.call([*wanted.words(found.store.url, out), "-o", "json"], quiet=quiet)
    return {"run": found.path.name, "experiment": found.path.experiment, **json.loads(printed)}


def _names(run: str, ending: str) -> Iterable[Path]:
    yield Path(f"{run}{ending}")
    number = 1
    while True:
        number += 1
        yield Path(f"{run}-{number}{ending}")


def _free(names: Iterable[Path]) -> Path:
    return next(path for path in names if not path.exists())
