"""One run in the index of its experiment, as a pure function of what the run's own folder says."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

State = Literal["running", "finished", "failed", "stopped", "collapsed"]


class Source(BaseModel):
    """What a run began its weights from."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: str
    """Name of a run of the same experiment."""
    step: int
    """Of the checkpoint that was taken."""


class Figure(BaseModel):
    """What a checkpoint's images are like."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    metric: str
    """Such as ``fd``."""
    name: str
    """With what it was measured by: ``FD[digits@1b34, N=2000]``."""
    value: float
    step: int
    reference: str = ""
    """The images that samples were compared with."""


class Entry(BaseModel):
    """One run in the index."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: str
    """Its name."""
    created: str | None = None
    """When run.json was begun, ISO time."""
    ended: str | None = None
    """When it came to its end, ISO time; None while it runs, as far as its folder tells."""
    state: State = "running"
    """A run that was killed says that it is running until it is started again."""
    step: int = 0
    """Steps taken."""
    steps: int = 0
    """Steps it is to take."""
    metrics: dict[str, float] = {}
    """Figures of its last line, such as d_loss."""
    preset: str | None = None
    """What it was begun from."""
    world_size: int = 1
    """Workers."""
    schedule: str | None = None
    """Name of the schedule that started it."""
    scheduled: str | None = None
    """For when, ISO time; None for a run that was triggered by hand, or has no schedule."""
    warm_start: Source | None = None
    """What its weights began from."""
    backend: Literal["local", "kubernetes"] | None = None
    """What started its workers; None when nothing says it."""
    best: Figure | None = None
    """Of the checkpoint that is the best by the figures of training."""
    judged: Figure | None = None
    """Of the newest step that was evaluated."""


def describe(
    run: str, record: Mapping[str, Any], status: Mapping[str, Any], result: Mapping[str, Any]
) -> Entry | None:
    """What run.json, status.json and result.json say of a run, the latter two empty when there are none.

    None when they are not what a trainer or a launcher writes.
    """
    try:
        steps = int((record.get("config") or {}).get("steps") or 0)
        done = result.get("state") != "collapsed" and bool(result) and int(result.get("steps") or 0) >= steps
        state: State = "finished" if done else _state(status)
        said: Mapping[str, Any] = result if done else status
        warm = record.get("warm_start")
        return Entry(
            run=run,
            created=record.get("created"),
            ended=None if state == "running" else said.get("finished" if done else "updated"),
            state=state,
            step=int(result["steps"] if done else status.get("step") or 0),
            steps=steps,
            metrics=_figures(said.get("metrics") or {}),
            preset=record.get("preset"),
            world_size=int(record.get("world_size") or 1),
            schedule=record.get("schedule"),
            scheduled=record.get("scheduled"),
            warm_start=Source.model_validate(warm) if warm else None,
            # A launcher that submits to a cluster writes down the image; the chief, what started it.
            backend=record.get("backend") or ("kubernetes" if record.get("image") else None),
        )
    except (ValueError, TypeError, AttributeError):
        return None


def with_figures(entry: Entry, figures: Mapping[str, Any]) -> Entry:
    """The entry with `best` and `judged` of what `judged.summary` has found in the run's folder."""
    return Entry.model_validate({**entry.model_dump(), **figures})


def _state(status: Mapping[str, Any]) -> State:
    said = status.get("state")
    # "finished" of fewer steps than run.json has by now: the run was given more and is about to take them.
    return said if said in ("failed", "stopped", "collapsed") else "running"


def _figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line, less where in the run it stands."""
    return {
        key: float(value)
        for key, value in metrics.items()
        if key not in ("step", "images") and isinstance(value, int | float)
    }
