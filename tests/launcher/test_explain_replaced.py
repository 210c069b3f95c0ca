"""Firings that had to make way for the next one: told from events, and from times when these are gone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.jobs.replacing import replaced_by
from launcher.render.cronjob import Timing
from launcher.schedules.missed import Known, missed
from tests.launcher.explaining import answer, facts, standing

MINUTE = 29_926_299
DUE = datetime.fromtimestamp(60 * MINUTE, UTC)  # 2026-11-25 03:39
CRON = {"metadata": {"name": "every"}, "spec": {"concurrencyPolicy": "Replace"}}
JOB = f"every-{MINUTE}"


def after(minutes, seconds=0):
    return DUE + timedelta(minutes=minutes, seconds=seconds)


def event(reason, message, time):
    return {"reason": reason, "message": message, "lastTimestamp": time.isoformat()}


def test_a_run_that_had_not_ended_when_the_next_was_due_was_replaced_by_that():
    times = [DUE, after(2), after(1)]
    assert replaced_by(CRON, JOB, after(1, 3), times) == "every-20261125-0340"
    # One whose Job somebody else deleted has ended before; and without another firing none replaced it.
    assert replaced_by(CRON, JOB, after(0, 40), times) is None
    assert replaced_by(CRON, JOB, after(9), [DUE]) is None
    assert replaced_by(CRON, JOB, None, times) is None


def test_the_controllers_own_word_counts_where_the_run_never_said_one():
    events = [
        event("SuccessfulCreate", f"Created job every-{MINUTE + 1}", after(1)),
        event("SuccessfulDelete", f"Deleted job {JOB}", after(1)),
    ]
    assert replaced_by(CRON, JOB, None, [], events) == "every-20261125-0340"
    # The history of finished Jobs is cleared at other times, and names other Jobs.
    assert (
        replaced_by(CRON, JOB, None, [after(1)], [event("SuccessfulDelete", f"Deleted job {JOB}", after(5))])
        is None
    )
    assert (
        replaced_by(CRON, JOB, None, [after(1)], [event("SuccessfulDelete", f"Deleted job {JOB}1", after(1))])
        is None
    )


@pytest.mark.parametrize("policy", ["Forbid", "Allow", None])
def test_other_policies_replace_nothing(policy):
    cron = {**CRON, "spec": {"concurrencyPolicy": policy}}
    assert replaced_by(cron, JOB, after(5), [after(1)]) is None


@given(job=st.sampled_from(["every-t1abcdef", "mytest", "every", "other-29926299", "every-1"]))
def test_what_the_controller_did_not_start_it_does_not_replace(job):
    assert replaced_by(CRON, job, after(5), [after(1)]) is None


@given(
    ended=st.one_of(st.none(), st.integers(-300, 900)),
    others=st.lists(st.integers(-5, 10), max_size=6),
)
def test_who_replaced_it_is_the_first_firing_that_followed(ended, others):
    times = [after(minute) for minute in others]
    found = replaced_by(CRON, JOB, None if ended is None else after(0, ended), times)
    following = [minute for minute in others if minute > 0]
    alive = ended is not None and following and ended >= 60 * min(following) - 5
    assert found == (f"every-{after(min(following)):%Y%m%d-%H%M}" if alive else None)


def test_explain_says_who_did_it_before_it_says_that_the_run_was_asked_to_stop():
    for state in ("stopped", "interrupted"):
        other = {"replaced_by": "every-20261125-0340", "job": JOB, "namespace": "team"}
        said = {"state": state, "step": 20, "checkpoint_step": 20}
        found = replace(facts(said=said), status=standing(state, "", said, backend="kubernetes", **other))
        cause, sentence, fix, seen = answer(found)
        assert (cause, fix) == ("replaced", "launcher resume gan/one --root gs://runs/gan")
        assert "by the CronJob controller" in sentence and "'every-20261125-0340'" in sentence
        assert seen[:2] == ["CronJob/every", f"Job/{JOB}"]


def test_a_firing_that_was_replaced_before_it_wrote_anything_is_missed_for_that_reason():
    events = [event("SuccessfulDelete", f"Deleted job {JOB}", after(1))]
    timing = Timing("* * * * *", concurrency_policy="Replace")
    known = Known(timing, after(-1), after(1), frozenset({after(1)}), [], [], events)
    [told] = missed(known, after(1, 20))
    assert (told.due, told.cause.partition(" before")[0]) == (DUE, "the next firing replaced it")
