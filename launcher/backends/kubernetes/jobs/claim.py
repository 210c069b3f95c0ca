"""What a submission writes into the run's folder before the cluster hears of it, and can take back.

``run.json`` claims the name of a new run: whoever writes it first has it. ``cluster.json`` claims the next
attempt of a run that is resumed. ``manifests.yaml`` is what is about to be sent.
"""

import copy
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.errors import RunAlive, RunExists
from launcher.records.run_folder import is_claimed
from launcher.render.labels import CLAIMED, SPEC
from launcher.spec.next_commands import command_line
from launcher.spec.runspec import RunSpec
from trainer.config import WarmStart
from trainer.errors import ObjectMissing, PreconditionFailed
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage import Store


class Claim:
    """The records of one submission in one run's folder."""

    def __init__(self, path: RunPath, store: Store) -> None:
        self._path = path
        self._store = store
        self._generation = _generation(store, layout.CLUSTER)
        self._before = {name: _content(store, name) for name in (layout.CLUSTER, layout.MANIFESTS)}
        self._written: dict[str, list[bytes]] = {}

    @property
    def previous(self) -> ClusterRecord | None:
        """The newest attempt so far."""
        text = self._before[layout.CLUSTER]
        where = f"{self._store.url}/{layout.CLUSTER}"
        return None if text is None else ClusterRecord.from_json(text, where)

    def next_attempt(self) -> int:
        """One more than any attempt that has left a trace, on this cluster or elsewhere."""
        known = [int(name) for name in self._store.folders("logs/") if name.isdigit()]
        previous = self.previous
        return max([0, *known, *([previous.attempt] if previous else [])]) + 1

    def check_new(self) -> None:
        """Refuse a name that is taken.

        Raises:
            RunExists: with the ways out.
        """
        if self._store.stat(layout.RUN) is not None:
            raise taken(self._path)

    def write(self, spec: RunSpec, record: ClusterRecord, manifests: str, *, new: bool) -> None:
        """Claim the name or the attempt, then say what is sent and where.

        Raises:
            RunExists, RunAlive: somebody else has claimed it in this moment.
        """
        try:
            if new:
                self._put(layout.RUN, run_json(spec, self._moment()), if_generation=0)
            else:
                self._renew(spec)
            self._put(layout.CLUSTER, record.to_json(), if_generation=self._generation)
        except PreconditionFailed:
            if new:
                raise taken(self._path) from None
            raise RunAlive(f"run '{self._path.name}': somebody else resumes it in this moment") from None
        self._put(layout.MANIFESTS, manifests.encode())

    def _renew(self, spec: RunSpec) -> None:
        """Write the record of a run that no trainer has begun, where there is none or it says otherwise."""
        there = self._store.stat(layout.RUN)
        before = _content(self._store, layout.RUN) if there else None
        run = _parsed(before)
        if before is not None and (not is_claimed(run) or run.get("config") == _begun(spec)["config"]):
            return
        self._before[layout.RUN] = before
        with suppress(PreconditionFailed):  # a trainer has begun it in this moment
            created = str(run.get("created") or self._moment())
            self._put(layout.RUN, run_json(spec, created), if_generation=there.generation if there else 0)

    def _moment(self) -> str:
        """Now by the bucket's clock, to the microsecond: no two claims are of the same bytes."""
        return (self._store.now() or datetime.now(UTC)).isoformat(timespec="microseconds")

    def made(self, record: ClusterRecord) -> None:
        """Say by which uid the Job is known, now that the cluster has made it.

        Raises:
            RunAlive: somebody else has begun the next attempt meanwhile.
        """
        try:
            self._put(layout.CLUSTER, record.to_json(), if_generation=self._generation)
        except PreconditionFailed:
            raise RunAlive(f"run '{self._path.name}': somebody else resumes it in this moment") from None

    def _put(self, name: str, content: bytes, if_generation: int | None = None) -> None:
        ours = self._written.setdefault(name, [])
        ours.append(content)  # before it is: a write that is cut off may have been done
        try:
            generation = self._store.write(name, content, if_generation)
        except PreconditionFailed:
            ours.remove(content)
            raise
        if name == layout.CLUSTER:
            self._generation = generation

    def take_back(self) -> None:
        """Leave the folder as it was found, except for what others have written meanwhile."""
        for name, ours in reversed(self._written.items()):
            if _content(self._store, name) not in ours:
                continue
            before = self._before.get(name)
            if before is None:
                self._store.delete(name)
            else:
                self._store.write(name, before)
        self._written.clear()


def run_json(spec: RunSpec, created: str) -> bytes:
    """``run.json`` as a launcher begins it; the trainer adds its own versions and its source's revision.

    `created` is by the bucket's clock.
    """
    return json.dumps({**_begun(spec), "created": created}, indent=2).encode()


def _begun(spec: RunSpec) -> dict[str, Any]:
    config = spec.config()
    # Left out unless asked for, so that an image of an older trainer, which does not know it, reads the rest.
    unasked = {"warm_start"} if config.warm_start == WarmStart() else None
    return {
        "format": layout.FORMAT,
        "created": None,
        "preset": spec.preset,
        "overrides": list(spec.overrides),
        "world_size": spec.workers,
        "seed": config.seed,
        "image": spec.image,
        "git_revision": None,
        "versions": {"launcher": metadata.version("gantry")},
        "config": config.model_dump(mode="json", exclude=unasked),
    }


def mark(job: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The Job with its pods told that their run has its record: one that they do not find is lost.

    Only a submission knows that. A Job that `launcher render` printed may be applied where no record is. With
    `spec` the Job has a copy of what was asked for, should the record go.
    """
    marked: dict[str, Any] = copy.deepcopy(dict(job))
    own = marked["metadata"]
    own["annotations"] = {**(own.get("annotations") or {}), SPEC: json.dumps(spec, separators=(",", ":"))}
    pod = marked["spec"]["template"]["metadata"]
    pod["annotations"] = {**(pod.get("annotations") or {}), CLAIMED: "1"}
    return marked


def taken(path: RunPath) -> RunExists:
    """The refusal of a name that a run has."""
    return RunExists(
        f"name '{path.name}' is taken in experiment '{path.experiment}': continue that run with "
        f"`{command_line('resume', path)}`, remove it with `{command_line('delete', path, '--artifacts')}`, "
        "or choose another --name"
    )


def sent_manifests(store: Store) -> list[dict[str, Any]]:
    """What the newest submission has sent, as its folder tells; nothing where that is gone or damaged."""
    import yaml

    text = _content(store, layout.MANIFESTS)
    with suppress(yaml.YAMLError):
        found = [] if text is None else list(yaml.safe_load_all(text))
        return [each for each in found if isinstance(each, dict) and "kind" in each and "metadata" in each]
    return []


def _content(store: Store, name: str) -> bytes | None:
    with suppress(ObjectMissing):
        return store.read(name)
    return None


def _parsed(content: bytes | None) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(content or b"")
        return found if isinstance(found, dict) else {}
    return {}


def _generation(store: Store, name: str) -> int:
    found = store.stat(name)
    return found.generation if found else 0
