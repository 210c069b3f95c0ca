"""From a name to what is wrong with that run or schedule."""

import dataclasses
from functools import partial

from launcher.diagnosis.explain.base import Diagnosis, first
from launcher.diagnosis.explain.causes import SCHEDULE_CAUSES
from launcher.diagnosis.explain.gathering import gather
from launcher.diagnosis.explain.judging import UNKNOWN, diagnose
from launcher.diagnosis.explain.schedule_facts import ScheduleFacts
from launcher.diagnosis.explain.schedules import experiment_of, gather_schedule
from launcher.diagnosis.explain.target import find
from launcher.errors import CannotAsk, NoSuchRun
from launcher.records.states import COLLAPSED, FAILED, INTERRUPTED
from launcher.records.status import RunStatus
from launcher.runs.find import Place
from trainer.errors import GantryError


def explain(where: Place | str, name: str) -> Diagnosis:
    """What is wrong with the run of that name, or with the schedule where no run has it.

    Raises:
        NoSuchRun: there is neither.
        UserError: neither the cluster nor the run's folder can be asked.
    """
    try:
        return explain_run(where, name)
    except NoSuchRun as missing:
        try:
            return explain_schedule(where, name)
        except NoSuchRun as error:
            raise NoSuchRun(f"{missing}; {error}") from None
        except CannotAsk as error:
            if str(error) in str(missing):  # the cluster was to tell of the run, too
                raise missing from None
            raise NoSuchRun(f"{missing}; whether a schedule is called so is not known: {error}") from None


def explain_run(where: Place | str, run: str) -> Diagnosis:
    """What is wrong with a run, or that nothing is.

    Raises:
        NoSuchRun: there is none of that name.
        UserError: neither its cluster nor its folder can be asked.
    """
    place = where if isinstance(where, Place) else Place(root=where)
    return diagnose(gather(*find(place, run)))


def explained(where: Place | str, now: RunStatus) -> RunStatus:
    """A run's status with the sentence of its diagnosis as its explanation, where it failed or was cut off.

    One that is under way, or of which no cause is known, stays as it is, and so does one that cannot be
    looked at again.
    """
    if now.state not in (FAILED, COLLAPSED, INTERRUPTED):
        return now
    try:
        found = explain_run(where, f"{now.experiment}/{now.run}")
    except GantryError:
        return now
    known = found.cause not in (None, UNKNOWN) and found.state == now.state
    return dataclasses.replace(now, explanation=found.sentence) if known else now


def explain_schedule(where: Place | str, name: str) -> Diagnosis:
    """What is wrong with a schedule, or that nothing is.

    Raises:
        NoSuchRun: there is none of that name.
        UserError: the cluster cannot be asked.
    """
    place = where if isinstance(where, Place) else Place(root=where)
    return diagnose_schedule(gather_schedule(place, name))


def diagnose_schedule(facts: ScheduleFacts) -> Diagnosis:
    """What the facts show to be wrong with a schedule; a pure function."""
    state = "suspended" if facts.spec.get("suspend") else "active"
    experiment = experiment_of(facts.cronjob)
    say = partial(Diagnosis, "schedule", experiment, facts.short, state, unasked=tuple(facts.unasked))
    if found := first(SCHEDULE_CAUSES, facts):
        key, finding = found
        return say(False, key, finding.sentence, tuple(finding.evidence), finding.fix)
    return say(True, None, _well(facts))


def _well(facts: ScheduleFacts) -> str:
    last = facts.firings[0] if facts.firings else None
    told = f", last as run {last.name}" if last else ""
    told += f", which is {last.diagnosis.state}" if last and last.diagnosis else ""
    soon = f" and next at {facts.next:%Y-%m-%d %H:%M %Z}" if facts.next else ""
    return f"{facts.name} fires{told}{soon}"
