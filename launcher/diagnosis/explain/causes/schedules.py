"""Schedules that do not fire, or whose firings do not get through.

Kubernetes never fails a Job whose pods cannot start, and with concurrencyPolicy Forbid such a Job keeps all
later firings from beginning; a time that is over by startingDeadlineSeconds is left out without a word.
"""

from datetime import UTC, datetime, timedelta

from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes.images import IMAGES
from launcher.diagnosis.explain.evidence import from_event, from_field
from launcher.diagnosis.explain.facts import launcher
from launcher.diagnosis.explain.fix import Fix
from launcher.diagnosis.explain.schedule_facts import Firing, ScheduleFacts

_LATE = timedelta(seconds=60)  # the controller looks at a schedule when it is due, and has much to do then
_IMAGES = frozenset(cause.key for cause in IMAGES)
_PASSED_OVER, _REFUSED = "JobAlreadyActive", "FailedCreate"
_MISSED = ("MissSchedule", "TooManyMissedTimes", "UnparseableSchedule", "UnknownTimeZone", "InvalidSchedule")


def suspended(facts: ScheduleFacts) -> Finding | None:
    """A schedule that is switched off."""
    if not facts.spec.get("suspend"):
        return None
    sentence = f"{facts.name} is suspended, so it does not fire"
    if facts.due and (facts.fired is None or facts.due > facts.fired):
        sentence += f"; it would have last at {_shown(facts.due)}"
    return Finding(sentence, (_field(facts, "suspend"), _last(facts)), facts.command("resume"))


def blocked(facts: ScheduleFacts) -> Finding | None:
    """A firing that does not end, behind which Forbid lets no other begin."""
    active = [firing for firing in facts.firings if firing.active]
    if not facts.forbids or not active:
        return None
    firing = active[-1]
    ill = firing.diagnosis is not None and not firing.diagnosis.healthy
    if not ill and not _is_late(facts):
        return None
    sentence = f"{facts.name} is blocked by its firing {firing.name}, which has not ended"
    if firing.diagnosis is not None:
        sentence += f": {firing.diagnosis.sentence}"
    sentence += "; concurrencyPolicy Forbid lets no other begin until it has"
    if until := _deadline(firing):
        sentence += f", at the latest at {_shown(until)}"
    passed = facts.event(_PASSED_OVER)
    own = list(firing.diagnosis.evidence) if firing.diagnosis else []
    seen = [*([from_event(passed)] if passed else []), *own, _field(facts, "concurrencyPolicy"), _last(facts)]
    return Finding(sentence, seen, _end(facts, firing, ill))


def _is_late(facts: ScheduleFacts) -> bool:
    """Whether a time of the schedule has passed for which there was no firing."""
    due, fired = facts.due, facts.fired
    return due is not None and (fired is None or due > fired) and facts.time - due > _LATE


def _end(facts: ScheduleFacts, firing: Firing, ill: bool) -> Fix:
    """Ends a firing, and before that, where that one cannot begin, makes the next ones otherwise."""
    if firing.path is None:
        return facts.kubectl("delete job", str(firing.job["metadata"]["name"]))
    if not ill:
        return launcher("cancel", firing.path, "-n", facts.namespace)
    image = firing.diagnosis is not None and firing.diagnosis.cause in _IMAGES
    change = facts.command("update", *(("--image", "NAME:TAG") if image else ("-f", "FILE")))
    end = launcher("cancel", firing.path, "-n", facts.namespace)
    return change.then(end)


def _deadline(firing: Firing) -> datetime | None:
    """When the cluster ends a firing by itself."""
    started = (firing.job.get("status") or {}).get("startTime")
    seconds = firing.job["spec"].get("activeDeadlineSeconds")
    if not started or seconds is None:
        return None
    return datetime.fromisoformat(str(started)) + timedelta(seconds=int(seconds))


def refused(facts: ScheduleFacts) -> Finding | None:
    """A Job that the API server does not let the controller make."""
    event = facts.event(_REFUSED)
    newest = max((str(each.job["metadata"].get("creationTimestamp")) for each in facts.firings), default="")
    if event is None or str(event.get("lastTimestamp") or "") < newest:
        return None
    seen = from_event(event)
    update = facts.command("update", "-f", "FILE").noting("FILE has what the cluster asks for")
    return Finding(f"{facts.name} could not fire: {seen.text}", (seen, _last(facts)), update)


def missed(facts: ScheduleFacts) -> Finding | None:
    """A time at which nothing began."""
    found, event = facts.missed, facts.event(*_MISSED)
    if found is None:
        return None
    seen = [*([from_event(event)] if event else []), _last(facts), _field(facts, "schedule")]
    seen.append(_field(facts, "startingDeadlineSeconds"))
    sentence = f"{facts.name} missed its firing of {_shown(found.due)}: {found.cause}"
    return Finding(sentence, seen, facts.command("trigger"))


def failed(facts: ScheduleFacts) -> Finding | None:
    """A last firing that failed."""
    last = facts.firings[0] if facts.firings else None
    if last is None or last.diagnosis is None or last.diagnosis.healthy:
        return None
    found = last.diagnosis
    sentence = f"{facts.name} fires, but its last firing {last.name} is not well: {found.sentence}"
    return Finding(sentence, found.evidence, found.fix or facts.command("trigger"))


def _field(facts: ScheduleFacts, name: str) -> Evidence:
    return from_field(facts.cronjob, "CronJob", f"spec.{name}", facts.spec.get(name))


def _last(facts: ScheduleFacts) -> Evidence:
    last = (facts.cronjob.get("status") or {}).get("lastScheduleTime") or "never"
    return from_field(facts.cronjob, "CronJob", "status.lastScheduleTime", last)


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M UTC}"


SCHEDULES = (
    Cause(
        "schedule-suspended",
        "The schedule is suspended",
        "`spec.suspend` of the CronJob is true",
        "`launcher cron resume NAME`",
        suspended,
    ),
    Cause(
        "schedule-blocked",
        "A firing that does not end blocks the schedule",
        "A Job of the CronJob is active, concurrencyPolicy is Forbid, and events say JobAlreadyActive",
        "Update the schedule with what the firing lacks and cancel that one, or wait for its deadline",
        blocked,
    ),
    Cause(
        "schedule-refused",
        "The cluster does not let a firing be made",
        "FailedCreate of the CronJob",
        "`launcher cron update NAME` with what the message asks for",
        refused,
    ),
    Cause(
        "schedule-missed",
        "A firing was missed",
        "A time of the schedule has passed, and `status.lastScheduleTime` is older",
        "`launcher cron trigger NAME` makes up for it; a larger `--starting-deadline` lets late ones begin",
        missed,
    ),
    Cause(
        "firing-not-well",
        "The last firing is not well",
        "The newest Job of the CronJob failed or does not get on; its own cause is told",
        "What mends that run; `launcher cron trigger NAME` tries again",
        failed,
    ),
)
