"""All that is known of a schedule: its CronJob, what the cluster says of that, and how its firings stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from launcher.backends.kubernetes.status.jobs import verdict
from launcher.diagnosis.explain.base import Diagnosis
from launcher.diagnosis.explain.facts import Object, kubectl
from launcher.diagnosis.explain.fix import Fix
from launcher.records.states import parse_time
from launcher.render.labels import firing_due
from launcher.schedules.cronline import CronLine
from launcher.schedules.missed import Known, Missed, missed
from launcher.schedules.model import since, suspensions, timing_of
from trainer.errors import GantryError
from trainer.run.layout import RunPath


class Firing(NamedTuple):
    """One Job of a schedule."""

    job: Object
    path: RunPath | None
    """Its run; None for a Job whose name is not a firing's."""
    diagnosis: Diagnosis | None
    """What is wrong with it, for those that were looked at: all that are active, and the newest."""

    @property
    def name(self) -> str:
        """How a sentence calls it."""
        return f"'{self.path.name if self.path else self.job['metadata']['name']}'"

    @property
    def active(self) -> bool:
        """Whether its Job has not ended."""
        return verdict(self.job) is None


@dataclass(frozen=True)
class ScheduleFacts:
    """What the cluster shows of a schedule at one moment; what could not be asked is empty."""

    cronjob: Object
    firings: Sequence[Firing] = ()
    """Those whose Jobs the cluster still has, newest first."""
    events: Sequence[Object] = ()
    """About the CronJob, oldest first."""
    unasked: Sequence[str] = ()
    context: str | None = None
    """The kubeconfig's context where that is not the current one."""
    time: datetime = field(kw_only=True)
    """When they were looked at, by the cluster's clock."""

    @property
    def short(self) -> str:
        """Its name."""
        return str(self.cronjob["metadata"]["name"])

    @property
    def name(self) -> str:
        """How a sentence calls it."""
        return f"schedule '{self.short}'"

    @property
    def spec(self) -> Mapping[str, object]:
        """The CronJob's spec."""
        found: Mapping[str, object] = self.cronjob["spec"]
        return found

    @property
    def forbids(self) -> bool:
        """Whether a firing that runs keeps others from beginning."""
        return self.spec.get("concurrencyPolicy") == "Forbid"

    @property
    def due(self) -> datetime | None:
        """The last time at which it should have fired, None before the first."""
        begin = since(self.cronjob)
        last = next(self._line.before(self.time), None) if self._line else None
        return last if last and (begin is None or last > begin) else None

    @property
    def missed(self) -> Missed | None:
        """The newest firing that is not there though it was due, and why; None where that one is there."""
        times = (firing_due(self.short, str(each.job["metadata"]["name"])) for each in self.firings)
        known = Known(
            timing_of(self.cronjob),
            since(self.cronjob) or self.time,
            parse_time((self.cronjob.get("status") or {}).get("lastScheduleTime")),
            frozenset(time for time in times if time),
            (),
            suspensions(self.cronjob),
            self.events,
        )
        newest = next(iter(missed(known, self.time, most=1)), None) if self._line else None
        return newest if newest and (self.fired is None or newest.due > self.fired) else None

    @property
    def next(self) -> datetime | None:
        """The next time at which it will fire."""
        return self._line.next(self.time, 1)[0] if self._line else None

    @property
    def fired(self) -> datetime | None:
        """The time for which a firing was made last; the controller writes it a moment after the Job."""
        known = [parse_time((self.cronjob.get("status") or {}).get("lastScheduleTime"))]
        known += [firing_due(self.short, str(each.job["metadata"]["name"])) for each in self.firings]
        return max((time for time in known if time), default=None)

    @property
    def _line(self) -> CronLine | None:
        try:
            return CronLine(str(self.spec.get("schedule")), str(self.spec.get("timeZone") or "Etc/UTC"))
        except GantryError:
            return None

    def event(self, *reasons: str) -> Object | None:
        """The newest event about the CronJob with one of these reasons."""
        return next((each for each in reversed(self.events) if each.get("reason") in reasons), None)

    def command(self, verb: str, *more: str) -> Fix:
        """A command of ``launcher cron`` about it."""
        where = ["-n", self.namespace, *(("--context", self.context) if self.context else ())]
        return Fix.of("launcher", "cron", verb, self.short, *more, *where)

    def kubectl(self, verb: str, *words: str) -> Fix:
        """A command of kubectl in its namespace; `verb` may be several words."""
        return kubectl(self.context, self.namespace, verb, *words)

    @property
    def namespace(self) -> str:
        """The CronJob's namespace."""
        return str(self.cronjob["metadata"].get("namespace"))
