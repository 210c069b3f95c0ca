"""What a CronJob says of a schedule; pure functions of the object as the API server shows it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from launcher.errors import FieldError
from launcher.records.states import parse_time
from launcher.render.cronjob import FIELDS, Timing, timing_json
from launcher.render.labels import (
    CONTAINER,
    PART_OF,
    ROOT,
    SINCE,
    SUSPENDED,
    SUSPENSIONS,
    TIMING,
    annotation,
    firing_run,
)
from launcher.schedules.cronline import CronLine
from trainer.run.layout import RunPath
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
    active = [
        firing_run(path.name, str(each.get("name")), str(each.get("uid")))
        for each in said.get("active") or []
    ]
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
        active=active,
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


def asked_timing(cron: Mapping[str, Any]) -> Timing:
    """When a schedule was asked to fire, whatever others have edited since.

    One whose annotation is not there, or is damaged, was asked for what it has.
    """
    live, found = timing_of(cron), None
    with suppress(ValueError):
        found = json.loads(annotation(cron, TIMING) or "")
    known = vars(live)
    whole = isinstance(found, dict) and all(type(found.get(key)) is type(known[key]) for key in known)
    return Timing(**{key: found[key] for key in known}) if whole and found else live


def edited(cron: Mapping[str, Any]) -> list[str]:
    """Fields of a CronJob's spec that others have edited, of those that say when it fires."""
    live, asked = vars(timing_of(cron)), vars(asked_timing(cron))
    return [field for field, name in FIELDS.items() if live[name] != asked[name]]


def path_of(cron: Mapping[str, Any]) -> RunPath:
    """Root and experiment of a schedule's firings, and its own name in place of a run's.

    Where others have taken label or annotation away, what its trainers are told counts.
    """
    metadata = cron["metadata"]
    experiment = (metadata.get("labels") or {}).get(PART_OF) or told(cron, "--experiment")
    return RunPath(annotation(cron, ROOT) or told(cron, "--root"), str(experiment), str(metadata["name"]))


def told(cron: Mapping[str, Any], option: str) -> str:
    """What a schedule's trainers are told by an option, empty where it is not among their arguments."""
    pods = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    trainer = (each for each in pods.get("containers") or () if each.get("name") == CONTAINER)
    args = [str(word).replace("$$", "$") for each in trainer for word in each.get("args") or ()]
    return next((value for word, value in pairwise(args) if word == option), "")


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
    asked = timing_json(replace(asked_timing(cron), suspended=suspended))
    notes = {TIMING: asked, **suspension_notes(cron, suspended, now)}
    return {"metadata": {"annotations": notes}, "spec": {"suspend": suspended}}


def suspension_notes(cron: Mapping[str, Any], suspended: bool, now: datetime) -> dict[str, Any]:
    """Annotations that keep account of when a schedule is suspended, for a merge patch."""
    stamp = now.isoformat(timespec="seconds")
    if suspended:
        return {SUSPENDED: stamp}
    spans = [
        (begin.isoformat(), stamp if end is None else end.isoformat()) for begin, end in suspensions(cron)
    ]
    return {SUSPENDED: None, SUSPENSIONS: json.dumps(spans[-_KEPT:])}
