"""Schedules that do not fire, from a CronJob and its Jobs as a real cluster shows them."""

from datetime import UTC, datetime, timedelta

import pytest

from launcher.diagnosis.explain import Diagnosis, Evidence, Fix, ScheduleFacts, diagnose_schedule
from launcher.diagnosis.explain.schedule_facts import Firing
from tests.launcher.fixes import check_fix
from trainer.run.layout import RunPath

NOW = datetime(2026, 11, 25, 3, 30, tzinfo=UTC)
DUE = datetime(2026, 11, 25, 3, 10, tzinfo=UTC)


MEND = Fix.of("launcher", "resume", "nightly-20261125-0310")


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def cronjob(last=None, **spec):
    """A schedule of ten past three each night, two days old."""
    return {
        "metadata": {
            "name": "nightly",
            "namespace": "team",
            "creationTimestamp": stamp(NOW - timedelta(days=2)),
            "labels": {"app.kubernetes.io/managed-by": "gantry", "app.kubernetes.io/part-of": "gan"},
        },
        "spec": {
            "schedule": "10 3 * * *",
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 600,
            "suspend": False,
            **spec,
        },
        "status": {} if last is None else {"lastScheduleTime": stamp(last)},
    }


def firing(due, healthy=True, cause=None, state="running", ended=False):
    """A firing whose run stands so."""
    name = f"nightly-{int(due.timestamp()) // 60}"
    conditions = [{"type": "Failed", "status": "True", "reason": "X", "message": ""}] if ended else []
    job = {
        "metadata": {"name": name, "creationTimestamp": stamp(due)},
        "spec": {"activeDeadlineSeconds": 86400},
        "status": {"startTime": stamp(due), "conditions": conditions},
    }
    path = RunPath("gs://runs/gan", "gan", f"nightly-{due:%Y%m%d-%H%M}")
    seen = () if healthy else (Evidence("Pod/a", "status", "it is so"),)
    found = Diagnosis("run", "gan", path.name, state, healthy, cause, "the run's sentence", seen, MEND)
    return Firing(job, path, found)


def event(reason, message, time):
    return {
        "reason": reason,
        "message": message,
        "lastTimestamp": stamp(time),
        "involvedObject": {"kind": "CronJob", "name": "nightly"},
    }


def diagnosis(cron, firings=(), events=()):
    found = diagnose_schedule(ScheduleFacts(cron, firings, events, time=NOW))
    if found.fix is not None:
        check_fix(found.fix)
    return found


def test_a_schedule_that_fires_is_well():
    here = diagnosis(cronjob(DUE), [firing(DUE)])
    assert (here.healthy, here.cause, here.kind, here.experiment) == (True, None, "schedule", "gan")
    assert here.sentence == (
        "schedule 'nightly' fires, last as run 'nightly-20261125-0310', which is running "
        "and next at 2026-11-26 03:10 UTC"
    )


def test_one_that_never_was_due_is_well():
    new = cronjob()
    new["metadata"]["creationTimestamp"] = stamp(NOW - timedelta(minutes=5))
    assert diagnosis(new).healthy


def test_suspended():
    here = diagnosis(cronjob(DUE - timedelta(days=1), suspend=True))
    assert (here.healthy, here.cause, here.state) == (False, "schedule-suspended", "suspended")
    assert "it would have last at 2026-11-25 03:10 UTC" in here.sentence
    assert str(here.fix) == "launcher cron resume nightly -n team"


def test_a_firing_that_cannot_begin_blocks_the_schedule():
    here = diagnosis(cronjob(DUE), [firing(DUE, False, "image-missing", "pending")])
    assert here.cause == "schedule-blocked"
    assert "'nightly-20261125-0310', which has not ended: the run's sentence" in here.sentence
    assert "at the latest at 2026-11-26 03:10 UTC" in here.sentence
    assert here.evidence[0].object == "Pod/a"
    where = "-n team --root gs://runs/gan"
    assert str(here.fix) == (
        "launcher cron update nightly --image NAME:TAG -n team && "
        f"launcher cancel gan/nightly-20261125-0310 {where}"
    )


def test_a_firing_that_trains_on_blocks_once_another_is_due():
    slow = firing(DUE - timedelta(days=1))
    assert diagnosis(cronjob(DUE), [slow]).healthy
    passed = event("JobAlreadyActive", "Not starting job because prior execution is running", DUE)
    here = diagnosis(cronjob(DUE - timedelta(days=1)), [slow], [passed])
    assert (here.cause, here.evidence[0].field) == ("schedule-blocked", "event JobAlreadyActive")
    assert str(here.fix).startswith("launcher cancel gan/nightly-20261124-0310")
    assert diagnosis(cronjob(DUE, concurrencyPolicy="Allow"), [slow]).healthy


def test_missed():
    here = diagnosis(cronjob(DUE - timedelta(days=1)))
    assert (here.cause, str(here.fix)) == ("schedule-missed", "launcher cron trigger nightly -n team")
    assert here.sentence.startswith("schedule 'nightly' missed its firing of 2026-11-25 03:10 UTC: ")
    fields = {each.field for each in here.evidence}
    assert fields == {"status.lastScheduleTime", "spec.schedule", "spec.startingDeadlineSeconds"}


def test_one_that_may_still_begin_is_not_missed():
    assert diagnosis(cronjob(DUE - timedelta(days=1), startingDeadlineSeconds=3600)).healthy


def test_a_job_that_is_refused():
    message = 'Error creating job: jobs.batch "nightly-1" is forbidden: exceeded quota: jobs'
    here = diagnosis(cronjob(DUE), [firing(DUE - timedelta(days=1))], [event("FailedCreate", message, DUE)])
    assert here.cause == "schedule-refused"
    assert "exceeded quota: jobs" in here.sentence
    assert diagnosis(cronjob(DUE), [firing(DUE)], [event("FailedCreate", message, DUE)]).healthy is False


@pytest.mark.parametrize("ended", [True, False])
def test_a_last_firing_that_failed(ended):
    ill = firing(DUE, False, "diverged", "failed", ended)
    here = diagnosis(cronjob(DUE, concurrencyPolicy="Allow"), [ill])
    assert (here.cause, here.fix) == ("firing-not-well", MEND)
    assert "its last firing 'nightly-20261125-0310' is not well: the run's sentence" in here.sentence


def test_a_line_that_nobody_can_read_hides_nothing_else():
    here = diagnosis(cronjob(DUE, schedule="@every 5m", suspend=True))
    assert here.cause == "schedule-suspended"
    assert diagnosis(cronjob(DUE, schedule="@every 5m")).healthy
