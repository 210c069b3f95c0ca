"""``local.json``: which processes of this machine are a run's attempt, and how they ended.

The file is the only memory of the local backend, so that a run is found again from any terminal. Only the
supervisor of an attempt writes it, whole each time; when the supervisor is gone, whoever ends the attempt.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from trainer import layout
from trainer.errors import GantryError, ObjectMissing
from trainer.storage import Store

FORMAT = 1


@dataclass(frozen=True)
class Process:
    """One process, told from a later one with the same number by the time it was created."""

    pid: int
    created: float
    """Seconds since 1970."""
    exit_code: int | None = None
    """None while it lives or when nobody saw its end; the negative signal when one killed it."""


@dataclass(frozen=True)
class LocalRecord:
    """One attempt of a run on this machine."""

    attempt: int
    """Counts from 1; each start of the run is one."""
    host: str
    """Machine whose process numbers these are."""
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
    supervisor: Process | None = None
    processes: tuple[Process, ...] = ()
    """The workers that were started, by index."""
    cancelled: bool = False
    """Somebody asked for the stop."""
    ended: str | None = None
    """ISO time, UTC, when the last worker was gone."""
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
            if values["format"] != FORMAT:
                raise GantryError(f"{where}: format {values['format']}, this launcher reads {FORMAT}")
            for key in ("command", "overrides", "ports"):
                values[key] = tuple(values[key])
            values["supervisor"] = Process(**values["supervisor"]) if values["supervisor"] else None
            values["processes"] = tuple(Process(**process) for process in values["processes"])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise GantryError(f"{where}: not a record of a local run ({error})") from error

    def to_json(self) -> bytes:
        """The record as indented JSON."""
        return json.dumps(asdict(self), indent=2).encode()

    def with_process(self, worker: int, process: Process) -> Self:
        """The record with one worker added or replaced."""
        processes = list(self.processes)
        processes[worker : worker + 1] = [process]
        return replace(self, processes=tuple(processes))


def read_record(store: Store) -> LocalRecord | None:
    """The newest attempt in a run's folder, None for a run that this backend never started."""
    try:
        return LocalRecord.from_json(store.read(layout.LOCAL), f"{store.url}/{layout.LOCAL}")
    except ObjectMissing:
        return None


def write_record(store: Store, record: LocalRecord) -> None:
    """Replace the record in a run's folder."""
    store.write(layout.LOCAL, record.to_json())


def now() -> str:
    """The time as records hold it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
