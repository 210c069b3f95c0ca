"""Evidence from each kind of thing that is looked at, so that causes need not know where times are kept."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from launcher.backends.kubernetes.status.endings import conditions_of
from launcher.backends.kubernetes.status.wording import event_time, one_line
from launcher.diagnosis.explain.base import Evidence
from launcher.diagnosis.explain.facts import Facts, Line, message_of, object_name
from launcher.records.states import parse_time
from trainer.storage.clock import age

_LONGEST = 600  # characters of one piece of evidence


def from_event(event: Mapping[str, Any]) -> Evidence:
    """An event, with the time at which it was last seen."""
    about = event.get("involvedObject") or {}
    name = f"{about.get('kind')}/{about.get('name')}"
    text = one_line(message_of(event), _LONGEST)
    return Evidence(name, f"event {event.get('reason')}", text, utc(event_time(event)))


def from_condition(found: Mapping[str, Any], kind: str, type_: str) -> Evidence | None:
    """A condition of an object, such as a pod's PodScheduled; None when it has none of that type."""
    condition = conditions_of(found).get(type_)
    if condition is None:
        return None
    text = f"{condition.get('status')}, {condition.get('reason')}: {condition.get('message') or ''}"
    field = f"status.conditions[{type_}]"
    time = utc(condition.get("lastTransitionTime"))
    return Evidence(object_name(found, kind), field, one_line(text.rstrip(": "), _LONGEST), time)


def from_container(pod: Mapping[str, Any], container: Mapping[str, Any], last: bool = False) -> Evidence:
    """The state of a container, or with `last` the one before it was restarted in its pod."""
    field = "lastState" if last else "state"
    state: Mapping[str, Any] = container.get(field) or {}
    word = next(iter(state), "unknown")
    values: Mapping[str, Any] = state.get(word) or {}
    code = f"exit code {values['exitCode']}" if "exitCode" in values else ""
    said = [str(values.get("reason") or ""), code, one_line(values.get("message"), _LONGEST)]
    path = f"status.containerStatuses[{container.get('name')}].{field}.{word}"
    time = utc(values.get("finishedAt") or values.get("startedAt"))
    return Evidence(object_name(pod, "Pod"), path, ", ".join(filter(None, said)), time)


def from_field(found: Mapping[str, Any], kind: str, path: str, text: object) -> Evidence:
    """A field of an object, which says nothing of when it was set."""
    return Evidence(object_name(found, kind), path, one_line(text, _LONGEST))


def from_log(line: Line) -> Evidence:
    """A line of a worker's log."""
    return Evidence(f"worker-{line.worker}'s log", "", one_line(line.text, _LONGEST), line.time)


def from_status(facts: Facts, field: str) -> Evidence | None:
    """A field of ``status.json``, None where it says nothing."""
    value = facts.said.get(field)
    if value in (None, ""):
        return None
    return Evidence("status.json", field, one_line(value, _LONGEST), utc(facts.said.get("updated")))


def present(seen: Iterable[Evidence | None]) -> list[Evidence]:
    """Those that there are."""
    return [each for each in seen if each is not None]


def utc(time: object) -> str | None:
    """A time of the cluster or of a file as ISO with ``Z``, whole seconds; None for what is none."""
    moment = parse_time(time) if time else None
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def since(time: object, now: datetime | None) -> float | None:
    """Seconds since a time of the cluster, `now` by its API server's clock; None where one is not known."""
    return age(parse_time(time) if time else None, now)
