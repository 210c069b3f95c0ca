"""What a CronJob says of a schedule; pure functions of the object as the API server shows it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from launcher.backends.kubernetes.labels import (
    PART_OF,
    ROOT,
    SINCE,
    SPEC,
    SUSPENDED,
    SUSPENSIONS,
    annotation,
    firing_run,
)
from launcher.check import FieldError
from launcher.errors import SpecError
from launcher.render.cronjob import FIELDS, Timing
from launcher.schedules.cronline import CronLine
from launcher.states import parse_time
from trainer.layout import RunPath
from trainer.storage.clock import age

_KEPT = 20  # suspensions of the past


@dataclass(frozen=True)
class ScheduleStatus:
    """Where a schedule stands."""

    name: str
    experiment: str
    root: str
    namespace: str
    schedule: str
    time_zone: str
    suspended: bool
    concurrency_policy: str
    created: str
    last_scheduled: str | None
    """For when the newest firing was that the controller started; ISO time."""
    last_successful: str | None
    """When a firing last finished; ISO time."""
    active: list[str]
    """Runs of firings that the controller started and that have not ended."""
    age_seconds: float | None
    """Since it was created, by the cluster's clock."""
    next: str | None
    """When it fires next, in its zone; None while suspended, or for a line this launcher cannot read."""


class Span(NamedTuple):
    """A time during which a schedule was suspended."""

    begin: datetime
    end: datetime | None
    """None while it is."""


def status_of(cron: Mapping[str, Any], now: datetime) -> ScheduleStatus:
    """Where a schedule stands at a moment by the cluster's clock."""
    metadata, said, timing = cron["metadata"], cron.get("status") or {}, timing_of(cron)
    path = path_of(cron)
    active = (firing_run(path.name, str(each.get("name"))) for each in said.get("active") or [])
    return ScheduleStatus(
        name=path.name,
        experiment=path.experiment,
        root=path.root,
        namespace=str(metadata["namespace"]),
        schedule=timing.schedule,
        time_zone=timing.time_zone,
        suspended=timing.suspended,
        concurrency_policy=timing.concurrency_policy,
        created=str(metadata.get("creationTimestamp") or ""),
        last_scheduled=said.get("lastScheduleTime"),
        last_successful=said.get("lastSuccessfulTime"),
        active=[run for run in active if run],
        age_seconds=age(parse_time(metadata.get("creationTimestamp")), now),
        next=_next(timing, now),
    )


def _next(timing: Timing, now: datetime) -> str | None:
    if timing.suspended:
        return None
    with suppress(FieldError):  # edited by hand, to @every say
        return CronLine(timing.schedule, timing.time_zone).next(now, 1)[0].isoformat()
    return None


def timing_of(cron: Mapping[str, Any]) -> Timing:
    """When a schedule fires, as the cluster has it; without a zone it is the controller's, mostly UTC."""
    spec, default = cron["spec"], Timing("")
    values = {name: spec.get(field) for field, name in FIELDS.items()}
    known = {name: value for name, value in values.items() if value is not None}
    return Timing(**{**vars(default), **known})


def path_of(cron: Mapping[str, Any]) -> RunPath:
    """Root and experiment of a schedule's firings, and its own name in place of a run's."""
    metadata = cron["metadata"]
    experiment = str((metadata.get("labels") or {}).get(PART_OF) or "")
    return RunPath(annotation(cron, ROOT) or "", experiment, str(metadata["name"]))


def spec_of(cron: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `RunSpec` that the schedule was created with.

    Raises:
        SpecError: its annotation is damaged.
    """
    try:
        found = json.loads(annotation(cron, SPEC) or "")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        name = cron["metadata"]["name"]
        raise SpecError(f"CronJob '{name}': annotation {SPEC}: expected the specification as JSON")
    return found


def since(cron: Mapping[str, Any]) -> datetime | None:
    """Since when a schedule has the cron line that it has."""
    return parse_time(annotation(cron, SINCE) or cron["metadata"].get("creationTimestamp"))


def suspensions(cron: Mapping[str, Any]) -> list[Span]:
    """When a schedule was suspended through this launcher, oldest first."""
    spans = []
    with suppress(ValueError, TypeError):
        for begin, end in json.loads(annotation(cron, SUSPENSIONS) or "[]"):
            begun, ended = parse_time(begin), parse_time(end)
            spans += [Span(begun, ended)] if begun and ended else []
    begun = parse_time(annotation(cron, SUSPENDED))
    return spans + ([Span(begun, None)] if begun and timing_of(cron).suspended else [])


def suspend_patch(cron: Mapping[str, Any], suspended: bool, now: datetime) -> dict[str, Any]:
    """The merge patch that suspends a schedule or lets it go on, and keeps account of when."""
    stamp = now.isoformat(timespec="seconds")
    if suspended:
        return {"metadata": {"annotations": {SUSPENDED: stamp}}, "spec": {"suspend": True}}
    spans = [
        (begin.isoformat(), stamp if end is None else end.isoformat()) for begin, end in suspensions(cron)
    ]
    notes = {SUSPENDED: None, SUSPENSIONS: json.dumps(spans[-_KEPT:])}
    return {"metadata": {"annotations": notes}, "spec": {"suspend": False}}
