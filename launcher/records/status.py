"""Where a run stands, as data: what every backend fills in and every command prints."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from launcher.records.run_folder import Found
from launcher.records.states import (
    FAILED,
    FINISHED,
    LIVE_STATES,
    PENDING,
    RESTARTING,
    UNKNOWN,
    State,
    parse_time,
)
from trainer.errors import GantryError, ObjectMissing
from trainer.run import judged, layout
from trainer.storage import LocalStore, Store
from trainer.storage.clock import age

WRITES_SECONDS = 12.0  # a trainer writes status.json every five
_LOOK_SECONDS = 0.5
_FIGURES = "figures"  # beside what status.json says: of a run in an index, what is known without asking


@dataclass(frozen=True)
class WorkerStatus:
    """One worker of the newest attempt: a process of this machine or a pod."""

    worker: int
    """Index of the process, or completion index of the pod."""
    alive: bool
    exit_code: int | None = None
    """None while it lives or when nobody saw its end; the negative signal when one killed a process."""
    pid: int | None = None
    pod: str | None = None
    node: str | None = None
    restarts: int = 0
    """How many pods of this index ended before this one, and containers before this one in it."""
    reason: str = ""
    """The cluster's word about the pod where it is not simply running, such as ImagePullBackOff."""
    held_by: tuple[str, ...] = ()
    """Other containers of the pod that run on though the trainer has ended, such as a mesh's."""


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands."""

    experiment: str
    run: str
    root: str
    state: str
    """pending, queued, starting, running, restarting, stopping, stopped, finished, failed, collapsed,
    interrupted or unknown."""
    explanation: str
    """One sentence where the state alone does not tell enough, else empty."""
    step: int | None
    steps: int | None
    images_per_second: float | None
    eta_seconds: float | None
    updated: str | None
    """ISO time, UTC, of the trainer's last word."""
    age_seconds: float | None
    """Seconds since then, by the clock that dates the run's files; None where that does not tell."""
    checkpoint_step: int | None
    """Step of the newest complete checkpoint: where a resumed run goes on. A list of runs leaves it out."""
    checkpoint_age_seconds: float | None
    """Seconds since that checkpoint was complete, by the same clock."""
    checkpoint_seconds: float | None
    """How long the last one took to save and to upload; a pod that is asked to stop needs as much grace."""
    metrics: dict[str, Any]
    attempt: int | None
    workers: list[WorkerStatus]
    world_size: int | None
    """Workers that the run is meant to have."""
    preset: str | None
    backend: str | None
    """``local``, ``kubernetes``, or None for a run that the launcher did not start."""
    job: str | None = None
    """Name of the Kubernetes Job, also when it is gone; a list of runs knows only those that are there."""
    namespace: str | None = None
    restarts: int = 0
    """Worker pods that ended badly and were replaced, in the newest attempt; `backoff_limit` counts these."""
    trainer_restarts: int = 0
    """How often the newest attempt's trainers began again inside their pods, from a checkpoint; a pod that is
    replaced is one of the reasons."""
    storage: str | None = None
    """What is wrong with the run's storage while training goes on without it, None when nothing is."""
    health: str | None = None
    """What is wrong with the game of its networks, with what to change; None when nothing is seen."""
    conditions: tuple[str, ...] = ()
    """Names of what is wrong with it, as docs/health.md has them."""
    rollbacks: int = 0
    """How often it went back to a checkpoint from before that, and on with other latents."""
    best: dict[str, Any] | None = None
    """The best checkpoint by the figures of training: ``metric``, ``name`` with what it was measured by,
    ``value``, ``step`` and ``reference``; None where none is known."""
    judged: dict[str, Any] | None = None
    """The same of the newest step that was evaluated, in training or when somebody asked."""
    lost: bool = False
    """Whether it failed because its record or its checkpoints were taken away, so that nothing can go on."""
    created: str | None = None
    """ISO time, UTC, when the run was begun."""
    replaced_by: str | None = None
    """The firing of the same schedule for which the CronJob controller deleted this one's Job, with
    concurrencyPolicy Replace; None for any other run, and in a list of runs."""
    owner: str | None = None
    """Who submitted it, as the cluster calls them; None where nothing says it."""
    asked: bool = True
    """Whether its cluster, or the machine of its processes, was asked; if not, its folder alone tells."""

    @property
    def live(self) -> bool:
        """Whether the run has not ended."""
        return self.state in LIVE_STATES

    @property
    def over(self) -> bool:
        """Whether the run is known to have ended: not while it is unknown because nobody could be asked."""
        return not self.live and (self.asked or self.state != UNKNOWN)

    @property
    def resumable(self) -> bool:
        """Whether `resume` is the way on."""
        return self.over and self.state != FINISHED and not self.lost

    @property
    def ready(self) -> int:
        """Workers that live."""
        return sum(worker.alive for worker in self.workers)


class Files(NamedTuple):
    """What a run's folder says about it."""

    run: dict[str, Any]
    """``run.json``, empty when there is none."""
    said: dict[str, Any] | None
    """``status.json``, None when there is none."""

    age: float | None = None
    """Seconds since ``status.json`` was written, by the clock that dates it; None where that is not known."""


class Checkpoint(NamedTuple):
    """A complete checkpoint."""

    step: int
    updated: datetime
    """When its manifest was written."""


def read_files(store: Store) -> Files:
    """What a run's folder says now.

    Raises:
        GantryError: a file is damaged.
    """
    return Files(read_json(store, layout.RUN) or {}, *read_word(store))


def read_word(store: Store) -> tuple[dict[str, Any] | None, float | None]:
    """``status.json``, and how many seconds ago it was written; None where no clock tells.

    A file of a folder that was copied is younger than the word in it, and as old as that.

    Raises:
        GantryError: the file is damaged.
    """
    said, seconds = read_dated(store, layout.STATUS)
    if said is None or seconds is None or not isinstance(store, LocalStore):
        return said, seconds
    told = age(parse_time(said.get("updated")), store.now())
    return said, None if told is None else max(seconds, told)


def assemble(
    found: Found,
    files: Files,
    state: State,
    *,
    attempt: int | None,
    workers: Sequence[WorkerStatus] = (),
    backend: str | None,
    checkpoint: bool = True,
    **more: Any,
) -> RunStatus:
    """A run's status from its folder, its state and what the backend knows; `more` are fields of it.

    Looking for the newest `checkpoint` takes two requests or more.
    """
    said = files.said or {}
    live = state.name in LIVE_STATES
    saved = newest_checkpoint(found.store) if checkpoint else None
    return RunStatus(
        experiment=found.path.experiment,
        run=found.path.name,
        root=found.path.root,
        state=state.name,
        explanation=state.explanation,
        step=said.get("step"),
        steps=said.get("steps") or files.run.get("config", {}).get("steps"),
        images_per_second=said.get("images_per_second"),
        eta_seconds=said.get("eta_seconds") if live and state.name not in (PENDING, RESTARTING) else None,
        updated=said.get("updated"),
        age_seconds=files.age,
        checkpoint_step=saved.step if saved else None,
        checkpoint_age_seconds=age(saved.updated, found.store.now()) if saved else None,
        checkpoint_seconds=said.get("checkpoint_seconds"),
        metrics=dict(said.get("metrics") or {}),
        attempt=attempt,
        workers=list(workers),
        backend=backend,
        **{
            "preset": files.run.get("preset"),
            "world_size": files.run.get("world_size"),
            "trainer_restarts": said.get("restarts") or 0,
            "storage": said.get("storage") if live else None,
            "health": said.get("health"),
            "conditions": tuple(
                str(each["name"])
                for each in said.get("conditions") or ()
                if isinstance(each, dict) and "name" in each
            ),
            "rollbacks": said.get("rollbacks") or 0,
            "lost": bool(said.get("lost")) and state.name == FAILED,
            "created": files.run.get("created"),
            **_figures(found.store, said),
            **more,
        },
    )


def _figures(store: Store, said: dict[str, Any]) -> dict[str, Any]:
    found = said.get(_FIGURES)
    return found if isinstance(found, dict) else _summary(store)


def _summary(store: Store) -> dict[str, Any]:
    """The figures of a run; none where they cannot be read, which hides nothing else."""
    try:
        return judged.summary(store)
    except GantryError:
        return {}


def is_written(store: Store, name: str, seconds: float = WRITES_SECONDS) -> bool:
    """Whether an object changes while it is watched: a sign of life that needs no clock."""
    first, end = store.stat(name), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
        if (now := store.stat(name)) != first and now is not None:
            return True
    return False


def newest_checkpoint(store: Store) -> Checkpoint | None:
    """The newest checkpoint that is complete."""
    for step in sorted((int(name) for name in store.folders("checkpoints/") if name.isdigit()), reverse=True):
        manifest = store.stat(layout.checkpoint_manifest(step))
        if manifest and layout.is_complete(manifest.name, manifest.size):
            return Checkpoint(step, manifest.updated)
    return None


def read_json(store: Store, name: str) -> dict[str, Any] | None:
    """A JSON object of the run, None when there is none.

    Raises:
        GantryError: the file holds something else.
    """
    try:
        return _parsed(store, name, store.read(name))
    except ObjectMissing:
        return None


def read_dated(store: Store, name: str) -> tuple[dict[str, Any] | None, float | None]:
    """The same, and how many seconds ago it was written by the storage's clock, None where that is not known.

    Raises:
        GantryError: the file holds something else.
    """
    try:
        content, seconds = store.dated(name)
    except ObjectMissing:
        return None, None
    return _parsed(store, name, content), seconds


def _parsed(store: Store, name: str, text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise GantryError(f"{store.url}/{name}: damaged, expected a JSON object")
    return content
