"""Everything that a report tells of a run, read once: cluster, folder, curves, grids, logs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from launcher.diagnosis.explain import Diagnosis, explain_run
from launcher.looking.curves import Curves, read_curves
from launcher.looking.evaluated import metrics, table
from launcher.looking.report.grids import Grids, read_grids
from launcher.looking.report.reproduce import reproducible, submit_line
from launcher.looking.report.timeline import Attempt, read_timeline
from launcher.records.states import FINISHED, parse_time
from launcher.records.status import RunStatus, read_json
from launcher.runs.find import Place, locate
from launcher.spec.redaction import without_password
from trainer.config import RunConfig, flatten, resolve
from trainer.errors import GantryError
from trainer.run import evaluations, layout
from trainer.run.evaluations import provenance
from trainer.storage import Store
from trainer.storage.clock import age

_RECENT = 0.1  # part of the run that a figure's mean is over
_OF_RUN = ("git_revision", "schedule", "scheduled", "warm_start", "data")  # fields of run.json
_OF_SPEC = ("image", "gpus", "cpu", "memory", "threads", "profiles", "queue", "service_account")


class Setting(NamedTuple):
    """A value of the configuration that is not the default."""

    key: str
    value: str
    default: str


class Figure(NamedTuple):
    """One of the last numbers."""

    key: str
    last: float
    recent: float
    """Mean over the last tenth of the lines."""


class Judged(NamedTuple):
    """An evaluation."""

    about: str
    """Step, weights and images, in words."""
    rows: list[list[str]]
    """The table of its figures, headings first."""


@dataclass(frozen=True)
class Material:
    """What a page is made of; nothing in it is escaped."""

    status: RunStatus
    written: str
    """ISO time, UTC, when this was read."""
    gantry: str
    """Version of the launcher that reads."""
    created: str | None
    ended: str | None
    seconds: float | None
    """From the run's creation to its end, or to its last word."""
    curves: Curves
    grids: Grids
    attempts: list[Attempt]
    changed: list[Setting]
    config: Mapping[str, Any] | None
    """The whole configuration, as it was resolved; None where nothing says it."""
    figures: list[Figure]
    judged: list[Judged]
    """What the newest evaluations found, one for each way in which the run was judged."""
    environment: list[tuple[str, str]]
    diagnosis: Diagnosis | None
    """What is wrong, None when the run is well."""
    command: str | None
    """The `launcher submit` line that asks for it again."""
    notes: list[str]
    """What could not be read, for the reader to know."""


def gather(where: Place | str, run: str) -> Material:
    """All about one run, in whatever state it is.

    Raises:
        NoSuchRun: there is none of that name.
        NotInstalled: what draws pictures is not there.
        GantryError: a record of the run is damaged, or its storage does not answer.
    """
    found, backend = locate(where, run)
    store = found.store
    status = backend.status(found)
    record = read_json(store, layout.RUN) or {}
    said, result = read_json(store, layout.STATUS), read_json(store, layout.RESULT) or {}
    curves, grids = read_curves(store), read_grids(store)
    values = reproducible(found, record)
    diagnosis, notes = _diagnosis(where, status)
    config = _config(record, values, notes)
    ended = None if status.live else _text(result.get("finished")) or status.updated
    return Material(
        status=status,
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        gantry=version("gantry"),
        created=_text(record.get("created")),
        ended=ended,
        seconds=_between(record.get("created"), ended or status.updated),
        curves=curves,
        grids=grids,
        attempts=read_timeline(store, record, said),
        changed=_changed(config),
        config=config,
        figures=_figures(curves),
        judged=_judged(store),
        environment=_environment(status, record, values),
        diagnosis=diagnosis,
        command=submit_line(values),
        notes=[*notes, *_missing(curves, grids)],
    )


def _diagnosis(where: Place | str, status: RunStatus) -> tuple[Diagnosis | None, list[str]]:
    """What is wrong with a run that is not finished, and what could not be asked."""
    if status.state == FINISHED:
        return None, []
    try:
        found = explain_run(where, f"{status.experiment}/{status.run}")
    except GantryError as error:
        return None, [f"why the run is {status.state} could not be found out: {error}"]
    return (None if found.healthy else found), list(found.unasked)


def _config(
    record: Mapping[str, Any], values: Mapping[str, Any], notes: list[str]
) -> Mapping[str, Any] | None:
    """The run's configuration, or what it would be for one that no trainer has begun."""
    config = record.get("config")
    if isinstance(config, dict):
        return config
    try:
        return resolve(str(values["preset"]), values.get("overrides") or ()).model_dump(mode="json")
    except (GantryError, KeyError) as error:
        notes.append(f"the configuration is not known: {error}")
        return None


def _changed(config: Mapping[str, Any] | None) -> list[Setting]:
    """What is not as it is when nobody says anything; a value without a default has a dash."""
    if config is None:
        return []
    default = flatten(RunConfig().model_dump(mode="json"))
    mine = flatten(config)
    keys = [key for key, value in mine.items() if key not in default or default[key] != value]
    return [Setting(key, _shown(mine[key]), _shown(default[key]) if key in default else "-") for key in keys]


def _figures(curves: Curves) -> list[Figure]:
    figures = []
    for key in curves.values:
        values = curves.points(key).y
        if values:
            recent = values[-max(1, round(_RECENT * len(values))) :]
            figures.append(Figure(key, values[-1], sum(recent) / len(recent)))
    return figures


def _judged(store: Store) -> list[Judged]:
    newest = {provenance(entry): entry for entry in evaluations.every(store)}  # by step, the last one stays
    return [
        Judged(
            f"step {entry.get('step')}, {entry.get('samples')} samples of "
            f"{'the average of the weights' if entry.get('average') else 'the last weights'}, against "
            f"{entry.get('reference')}",
            table(metrics(entry)),
        )
        for entry in newest.values()
    ]


def _environment(
    status: RunStatus, record: Mapping[str, Any], values: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What the run ran on, from its record and from what it was asked for; without what is not known."""
    rows: list[tuple[str, Any]] = [
        ("backend", status.backend or "none: it was trained by hand"),
        ("workers", status.world_size or values.get("workers")),
        *((key, values.get(key)) for key in _OF_SPEC),
        ("root", status.root),
        ("job", status.job),
        ("namespace", status.namespace),
        *((key, record.get(key)) for key in _OF_RUN),
        *sorted((record.get("versions") or {}).items()),
    ]
    return [
        (key.replace("_", " "), _shown(value))
        for key, value in rows
        if value not in (None, "", 0, (), [], {})
    ]


def _missing(curves: Curves, grids: Grids) -> list[str]:
    notes = [f"{name} cannot be read and is left out" for name in curves.damaged]
    return notes + [f"{name} is no picture and is left out" for name in grids.damaged]


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return without_password(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _between(begin: object, end: object) -> float | None:
    """Seconds between two times of the run's own files; None where they are of clocks that do not agree."""
    return age(parse_time(begin), parse_time(end))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
