"""``local.json``: which processes of this machine are a run's attempt, and how they ended.

The file is the only memory of the local backend, so that a run is found again from any terminal. Only the
supervisor of an attempt writes it, whole each time; when the supervisor is gone, whoever ends the attempt.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from trainer.errors import GantryError, ObjectMissing
from trainer.run import layout
from trainer.storage import Store

_T = TypeVar("_T")
FORMAT = 2
_FORMATS = (1, FORMAT)  # 1 knew a process by its creation time, and only the supervisor held the run's lock


@dataclass(frozen=True)
class Process:
    """One process, told from a later one with the same number by when it started."""

    pid: int
    created: float | None = None
    """Seconds since 1970, where nothing better is known: without /proc, and in records of format 1."""
    exit_code: int | None = None
    """None while it lives or when nobody saw its end; the negative signal when one killed it."""
    started: str | None = None
    """Ticks from boot to its start, which no clock moves."""


@dataclass(frozen=True)
class LocalRecord:
    """One attempt of a run on this machine."""

    attempt: int
    """Counts from 1; each start of the run is one."""
    host: str
    """Name of the machine, for people."""
    command: tuple[str, ...]
    """What every worker runs."""
    preset: str
    overrides: tuple[str, ...]
    workers: int
    threads: int
    """Threads of each worker."""
    ports: tuple[int, ...]
    """Loopback port of each worker; empty for one worker."""
    started: str
    """ISO time, UTC."""
    grace_seconds: float = 60.0
    """How long a worker may take to save and stop before it is killed."""
    machine: str | None = None
    """Boot and namespaces whose process numbers these are, as `process.machine` has it."""
    installation: str | None = None
    """The machine beyond its boot, as `process.installation` has it."""
    folder: str | None = None
    """The run's folder beyond its name, as `lock.identity` has it: a copy of it is another one."""
    word_before: str | None = None
    """When status.json was written last as the attempt began; it says nothing of this attempt until then."""
    supervisor: Process | None = None
    processes: tuple[Process, ...] = ()
    """The workers that were started, by index."""
    cancelled: bool = False
    """Somebody asked for the stop."""
    ended: str | None = None
    """ISO time, UTC, when the last worker was gone."""
    last_word: str | None = None
    """When status.json was written last as that was so; a later word is of a trainer that went on alone."""
    cause: int | None = None
    """Worker that ended badly first and so ended the attempt."""
    exit_code: int | None = None
    """The attempt's: 0 done, 2 the user's mistake, 42 resume me, 1 anything else."""
    spec: dict[str, Any] = field(default_factory=dict)
    """The `RunSpec` as JSON, for the next attempt; empty in a record of before it was kept."""
    format: int = field(default=FORMAT)

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            GantryError: it is something else.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            if values["format"] not in _FORMATS:
                raise GantryError(f"{where}: format {values['format']}, this launcher reads up to {FORMAT}")
            for key in ("command", "overrides", "ports"):
                values[key] = tuple(values[key])
            values["supervisor"] = _known(Process, values["supervisor"]) if values["supervisor"] else None
            values["processes"] = tuple(_known(Process, process) for process in values["processes"])
            return _known(cls, values)
        except (ValueError, TypeError, KeyError) as error:
            raise GantryError(f"{where}: not a record of a local run ({error})") from error

    @property
    def holds_lock(self) -> bool:
        """Whether each of its processes holds the run's lock while it lives."""
        return self.format > 1

    def to_json(self) -> bytes:
        """The record as indented JSON."""
        return json.dumps(asdict(self), indent=2).encode()

    def with_process(self, worker: int, process: Process) -> Self:
        """The record with one worker added or replaced."""
        processes = list(self.processes)
        processes[worker : worker + 1] = [process]
        return replace(self, processes=tuple(processes))


def _known(kind: type[_T], values: Mapping[str, Any]) -> _T:
    """A record without what a newer launcher added to it."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in values.items() if key in names})


def read_record(store: Store) -> LocalRecord | None:
    """The newest attempt in a run's folder, None for a run that this backend never started."""
    try:
        return LocalRecord.from_json(store.read(layout.LOCAL), f"{store.url}/{layout.LOCAL}")
    except ObjectMissing:
        return None


def write_record(store: Store, record: LocalRecord) -> None:
    """Replace the record in a run's folder."""
    store.write(layout.LOCAL, record.to_json())


def last_word(store: Store) -> str | None:
    """When ``status.json`` was written last, by its writer's clock; only good for being told from another."""
    try:
        return str(json.loads(store.read(layout.STATUS))["updated"])
    except (GantryError, ValueError, KeyError, TypeError):  # none, or a damaged one
        return None


def now() -> str:
    """The time as records hold it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
