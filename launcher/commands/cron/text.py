"""Schedules and their firings as lines for people."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from launcher.commands.common import ago
from launcher.commands.table import lines
from launcher.spec.durations import spoken
from trainer.metrics import HEADLINES

if TYPE_CHECKING:
    from launcher.schedules import Firing
    from launcher.schedules.model import ScheduleStatus
    from launcher.schedules.overview import ScheduleDetail, Time

_FORM = "%a %Y-%m-%d %H:%M %Z"
_FIGURES = HEADLINES


def moment(time: str | None, zone: str) -> str:
    """An ISO time in a zone, such as ``Mon 2026-01-05 03:00 CET``; a dash for None."""
    return "-" if time is None else f"{datetime.fromisoformat(time).astimezone(ZoneInfo(zone)):{_FORM}}"


def both_zones(times: "Sequence[Time]", zone: str) -> list[str]:
    """Times in a schedule's zone and in the user's, one a line."""
    rows = [
        (moment(time.schedule, zone), f"{datetime.fromisoformat(time.here).astimezone():{_FORM}}")
        for time in times
    ]
    return lines((f"in {zone}", "here"), rows)


def table(found: "Sequence[ScheduleStatus]") -> list[str]:
    """Schedules, one a line."""
    rows = []
    for each in found:
        state = "suspended" if each.suspended else "active"
        state += f", {len(each.active)} running" if each.active else ""
        times = (moment(each.last_scheduled, each.time_zone), moment(each.next, each.time_zone))
        rows.append((each.name, each.experiment, each.schedule, state, *times))
    return lines(("name", "experiment", "schedule", "state", "last", "next"), rows)


def described(found: "ScheduleDetail") -> list[str]:
    """A schedule in full."""
    status, timing = found.status, found.timing
    state = "suspended" if status.suspended else "active"
    told = [f"{status.experiment}/{status.name}: {state}, {status.schedule} in {status.time_zone}"]
    told.append(f"  runs in {status.root}, namespace {status.namespace}, created {ago(status.age_seconds)}")
    told.append(
        f"  while one runs: {status.concurrency_policy}; begins at most "
        f"{spoken(timing['starting_deadline_seconds'])} late; keeps the Jobs of "
        f"{timing['successful_history']} finished and {timing['failed_history']} failed firings"
    )
    told += [f"  {key}: {_plain(value)}" for key, value in found.spec.items() if key not in ("name", "root")]
    if found.next:
        told += ["", *both_zones(found.next, status.time_zone)]
    if found.firings:
        told += ["", *firings(found.firings)]
    return told


def firings(found: "Sequence[Firing]") -> list[str]:
    """Firings, one a line, newest first; times are the user's."""
    rows = []
    for each in found:
        due = _here(each.scheduled) if each.scheduled else "by hand"
        due += f" to {_here(each.until)} ({each.count})" if each.until else ""
        source = f"{each.warm_start['run']}@{each.warm_start['step']}" if each.warm_start else "-"
        figures = [f"{each.metrics[key]:.4g}" if key in each.metrics else "-" for key in _FIGURES]
        took = spoken(each.duration_seconds)
        rows.append((due, each.run or "-", each.state, took, *figures, source, each.explanation))
    return lines(("due", "run", "state", "took", *_FIGURES, "begun from", "why"), rows, ("took", *_FIGURES))


def _here(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M}"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
