"""Where a run stands, joined from the files in its folder and the processes on this machine."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from launcher.backends.local import newest_attempt
from launcher.backends.record import LocalRecord
from launcher.backends.state import FINISHED, LIVE_STATES, Alive, join_state, parse_time
from launcher.lookup import Found
from trainer import layout
from trainer.errors import GantryError, ObjectMissing
from trainer.storage import Store


@dataclass(frozen=True)
class WorkerStatus:
    """One worker process of the newest attempt."""

    worker: int
    pid: int
    alive: bool
    exit_code: int | None
    """None while it lives or when nobody saw its end; the negative signal when one killed it."""


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands."""

    experiment: str
    run: str
    root: str
    state: str
    """starting, running, stopping, stopped, finished, failed, interrupted or unknown."""
    explanation: str
    """One sentence where the state alone does not tell enough, else empty."""
    step: int | None
    steps: int | None
    images_per_second: float | None
    eta_seconds: float | None
    updated: str | None
    """ISO time, UTC, of the trainer's last word."""
    age_seconds: float | None
    """Seconds since then."""
    checkpoint_step: int | None
    """Step of the newest complete checkpoint: where a resumed run goes on."""
    metrics: dict[str, Any]
    attempt: int | None
    workers: list[WorkerStatus]
    preset: str | None

    @property
    def live(self) -> bool:
        """Whether the run has not ended."""
        return self.state in LIVE_STATES

    @property
    def resumable(self) -> bool:
        """Whether `resume` is the way on."""
        return not self.live and self.state != FINISHED


def read_status(found: Found) -> RunStatus:
    """Where a run stands now."""
    record, living = newest_attempt(found.store)
    # Read after the processes were looked at: a trainer that has ended since has written its last word.
    said = read_json(found.store, layout.STATUS)
    run = read_json(found.store, layout.RUN) or {}
    time = datetime.now(UTC)
    state = join_state(record, living, said, time)
    said = said or {}
    updated = parse_time(said.get("updated"))
    return RunStatus(
        experiment=found.path.experiment,
        run=found.path.name,
        root=found.path.root,
        state=state.name,
        explanation=state.explanation,
        step=said.get("step"),
        steps=said.get("steps") or run.get("config", {}).get("steps"),
        images_per_second=said.get("images_per_second"),
        eta_seconds=said.get("eta_seconds") if state.name in LIVE_STATES else None,
        updated=said.get("updated"),
        age_seconds=max(0.0, (time - updated).total_seconds()) if updated else None,
        checkpoint_step=newest_checkpoint(found.store),
        metrics=dict(said.get("metrics") or {}),
        attempt=record.attempt if record else None,
        workers=_workers(record, living),
        preset=record.preset if record else run.get("preset"),
    )


def _workers(record: LocalRecord | None, living: Alive) -> list[WorkerStatus]:
    if record is None:
        return []
    lives = living.workers or (False,) * len(record.processes)
    return [
        WorkerStatus(worker, process.pid, lives[worker], process.exit_code)
        for worker, process in enumerate(record.processes)
    ]


def newest_checkpoint(store: Store) -> int | None:
    """Step of the newest checkpoint that has its manifest."""
    steps = sorted((int(name) for name in store.folders("checkpoints/") if name.isdigit()), reverse=True)
    return next((step for step in steps if store.stat(layout.checkpoint_manifest(step))), None)


def read_json(store: Store, name: str) -> dict[str, Any] | None:
    """A JSON object of the run, None when there is none.

    Raises:
        GantryError: the file holds something else.
    """
    try:
        content = json.loads(store.read(name))
    except ObjectMissing:
        return None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise GantryError(f"{store.url}/{name}: damaged, expected a JSON object")
    return content
