"""Why firings are missing: what suspensions, other firings and events say of times that were due."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from launcher.render.cronjob import Timing
from launcher.schedules.missed import Busy, Known, missed
from launcher.schedules.model import Span, status_of, suspend_patch, suspensions

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOURLY = Timing("0 * * * *", starting_deadline_seconds=600)


def at(hour, minute=0):
    return NOON.replace(hour=hour, minute=minute)


def known(**values):
    """Since six in the morning, with a firing each hour of which some are there."""
    given = {
        "timing": HOURLY,
        "since": at(6, 30),
        "last": at(11),
        "fired": frozenset(),
        "busy": (),
        "suspensions": (),
        "events": (),
    }
    return Known(**{**given, **values})


def causes(what, now):
    return {each.due.hour: (each.count, each.cause) for each in missed(what, now)}


def test_what_left_a_trace_was_not_missed():
    every = frozenset(at(hour) for hour in range(7, 13))
    assert missed(known(fired=every, last=NOON), NOON + timedelta(minutes=30)) == []


def test_times_before_the_line_was_what_it_is_do_not_count():
    [only] = missed(known(since=at(11, 30)), NOON + timedelta(minutes=30))
    assert (only.due, only.count) == (NOON, 1)


def test_suspended_firings_are_one_entry_until_one_that_was_not():
    spans = [Span(at(6, 45), at(8, 30)), Span(at(10, 30), None)]
    fired = frozenset([at(9), at(10)])
    found = missed(known(suspensions=spans, fired=fired), NOON + timedelta(minutes=5))
    assert [(each.due, each.until, each.count) for each in found] == [(at(11), NOON, 2), (at(7), at(8), 2)]
    assert {each.cause for each in found} == {"the schedule was suspended"}


def test_a_firing_that_ran_kept_the_next_ones_from_starting():
    fired = frozenset([at(7), at(10), at(11), at(12)])
    long = Busy("nightly-20261125-0700", at(7), at(9, 30))
    found = causes(known(busy=[long], fired=fired, last=NOON), at(13, 0) - timedelta(minutes=1))
    assert found == {8: (2, "nightly-20261125-0700 was still running, and the policy is Forbid")}
    allowed = known(busy=[long], fired=fired, timing=replace(HOURLY, concurrency_policy="Allow"))
    assert "Forbid" not in str(causes(allowed, at(12, 59)))


def test_of_those_that_wait_for_a_firing_to_end_the_newest_may_still_come():
    timing = Timing("*/5 * * * *", starting_deadline_seconds=3600)
    runs = Busy("nightly-20261125-1130", at(11, 30), None)
    what = known(timing=timing, since=at(11, 29), last=at(11, 30), fired=frozenset([at(11, 30)]), busy=[runs])
    [only] = missed(what, at(11, 52))
    assert (only.due, only.until, only.count) == (at(11, 35), at(11, 45), 3)
    assert "still running" in only.cause


def test_an_event_tells_that_the_starting_deadline_was_over():
    event = {
        "reason": "MissSchedule",
        "message": "Missed scheduled time to start a job: Wed, 25 Nov 2026 12:00:00 UTC",
        "lastTimestamp": "2026-11-25T12:11:00Z",
    }
    what = known(events=[event], fired=frozenset(at(hour) for hour in range(7, 12)))
    assert causes(what, at(12, 20)) == {
        12: (1, "its starting deadline of 600 s was over before it could start")
    }


def test_an_event_tells_that_the_cluster_refused_the_job():
    minutes = int(NOON.timestamp()) // 60
    message = f'Error creating job: jobs.batch "nightly-{minutes}" is forbidden: exceeded quota: jobs'
    event = {"reason": "FailedCreate", "message": message, "lastTimestamp": "2026-11-25T12:00:01Z"}
    what = known(events=[event], fired=frozenset(at(hour) for hour in range(7, 12)))
    [(count, cause)] = causes(what, at(12, 1)).values()
    assert (count, "exceeded quota: jobs" in cause) == (1, True)


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        (at(11), at(12, 5), None),  # it may still come
        (at(11), at(12, 30), "the cluster did not start it in time"),
        (NOON, at(12, 30), "it was started, and its Job was removed"),
        (at(13), at(13, 4), "no longer known"),
    ],
)
def test_without_evidence_no_more_is_told_than_is_known(last, now, expected):
    fired = frozenset([*(at(hour) for hour in range(7, 12)), at(13)])
    found = missed(known(last=last, fired=fired), now)
    assert [each.due for each in found] == ([] if expected is None else [NOON])
    assert all(expected in each.cause for each in found)


def test_a_line_of_every_minute_for_years_is_looked_at_no_further_than_is_said():
    what = known(timing=Timing("* * * * *"), since=datetime(2010, 1, 1, tzinfo=UTC), last=None)
    [only] = missed(what, NOON + timedelta(seconds=30), most=500)
    assert only.count == 499  # the newest may still come


def cron(**spec):
    return {
        "metadata": {
            "name": "nightly",
            "namespace": "gan",
            "labels": {"app.kubernetes.io/part-of": "gan", "gantry/schedule": "nightly"},
            "annotations": {"gantry/root": "gs://bucket/gan"},
            "creationTimestamp": "2026-11-25T06:30:00Z",
        },
        "spec": {"schedule": "0 * * * *", "timeZone": "Europe/Paris", "suspend": False, **spec},
        "status": {"active": [{"name": "nightly-29926299"}], "lastScheduleTime": "2026-11-25T03:39:00Z"},
    }


def patched(found, patch):
    notes = {**found["metadata"]["annotations"], **patch["metadata"]["annotations"]}
    metadata = {
        **found["metadata"],
        "annotations": {key: value for key, value in notes.items() if value is not None},
    }
    return {**found, "metadata": metadata, "spec": {**found["spec"], **patch["spec"]}}


def test_when_it_was_suspended_is_kept_on_the_schedule():
    found = cron()
    for hour in range(7, 11, 2):
        found = patched(found, suspend_patch(found, True, at(hour)))
        assert suspensions(found)[-1] == Span(at(hour), None)
        found = patched(found, suspend_patch(found, False, at(hour + 1)))
    assert suspensions(found) == [Span(at(7), at(8)), Span(at(9), at(10))]
    for _ in range(30):
        found = patched(found, suspend_patch(found, True, at(11)))
        found = patched(found, suspend_patch(found, False, at(12)))
    assert len(suspensions(found)) == 20


def test_where_a_schedule_stands():
    status = status_of(cron(), NOON)
    assert (status.active, status.next) == (["nightly-20261125-0339"], "2026-11-25T14:00:00+01:00")
    assert (status.experiment, status.root, status.concurrency_policy) == ("gan", "gs://bucket/gan", "Forbid")
    assert status_of(cron(suspend=True), NOON).next is None
    assert status_of(cron(schedule="@every 5m"), NOON).next is None
