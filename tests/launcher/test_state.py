from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.local.living import Alive
from launcher.backends.local.record import LocalRecord, Process
from launcher.backends.local.state import join_state
from launcher.records.states import LIVE_STATES, State, parse_time

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
STARTED = NOW - timedelta(minutes=5)
ALL = Alive(True, (True, True))
NONE = Alive(False, (False, False))
BEFORE = (NOW - timedelta(minutes=10)).isoformat()
LAST = (NOW - timedelta(seconds=3)).isoformat()


def record(*codes, **values):
    begun = LocalRecord(
        attempt=1,
        host="here",
        command=(),
        preset="mlp",
        overrides=(),
        workers=2,
        threads=1,
        ports=(1, 2),
        started=STARTED.isoformat(),
        supervisor=Process(1, started="1"),
        processes=tuple(
            Process(10 + worker, exit_code=code, started="1")
            for worker, code in enumerate(codes or (None, None))
        ),
        word_before=BEFORE,
    )
    return replace(begun, **values)


def ended(*codes, exit_code, **values):
    values = {"last_word": LAST, **values}
    return record(*codes, exit_code=exit_code, ended=NOW.isoformat(), **values)


def by_the_clock(what):
    """A record as older launchers wrote it, who compared times."""
    return replace(what, word_before=None, last_word=None, format=1)


def said(state, ago=timedelta(seconds=3), **more):
    return {"state": state, "updated": (NOW - ago).isoformat(), **more}


def joined(record, alive, status, writer=None):
    """The state by a clock that runs with the one that dates the files."""
    silent = (NOW - parse_time(status["updated"])).total_seconds() if status else None
    return join_state(record, alive, status, silent, writer)


BEFORE_THE_START = timedelta(minutes=10)
HELD = Alive(False, (False, False), held=True)
AWAY = Alive(False, (), here=False)


@pytest.mark.parametrize(
    ("what", "alive", "status", "state"),
    [
        (record(), ALL, None, "starting"),
        (record(), ALL, said("starting"), "starting"),
        (record(), ALL, said("running"), "running"),
        (record(), ALL, said("finished"), "running"),  # still writing its last files
        (record(), ALL, said("stopped", BEFORE_THE_START), "starting"),  # the attempt before said so
        (record(cancelled=True), ALL, said("running"), "stopping"),
        (record(None, -9, cause=1), ALL, said("running"), "stopping"),
        (record(), NONE, said("running"), "interrupted"),
        (record(), NONE, None, "interrupted"),
        (record(), NONE, said("finished"), "finished"),
        (record(), NONE, said("stopped"), "stopped"),
        (record(), NONE, said("finished", BEFORE_THE_START), "interrupted"),
        (record(supervisor=None, processes=()), Alive(False, (), held=True), None, "starting"),
        (record(supervisor=None, processes=()), Alive(False, ()), None, "interrupted"),
        (record(), HELD, None, "starting"),
        (record(), HELD, said("running"), "running"),
        (ended(0, 0, exit_code=0), NONE, said("finished"), "finished"),
        (ended(42, 42, exit_code=42, cancelled=True), NONE, said("stopped"), "stopped"),
        (ended(-9, -9, exit_code=42, cancelled=True), NONE, said("running"), "stopped"),
        (ended(42, 42, exit_code=42, cause=0), NONE, said("stopped"), "stopped"),
        (ended(42, -9, exit_code=42, cause=1), NONE, said("running"), "interrupted"),
        (ended(1, -15, exit_code=1, cause=0), NONE, said("failed"), "failed"),
        (ended(2, -15, exit_code=2, cause=0), NONE, None, "failed"),
        (
            ended(0, 0, exit_code=0),
            NONE,
            said("running", timedelta(minutes=-1)),
            "running",
        ),  # went on elsewhere
        (None, Alive(False, ()), None, "unknown"),
        (None, Alive(False, ()), said("running"), "running"),
        (None, Alive(False, ()), said("running", timedelta(minutes=2)), "interrupted"),
        (None, Alive(False, ()), said("finished", timedelta(days=2)), "finished"),
        (record(), AWAY, said("running"), "running"),
        (record(), AWAY, said("running", timedelta(minutes=2)), "interrupted"),
        (record(), AWAY._replace(held=True), said("running", timedelta(minutes=2)), "running"),
    ],
)
def test_state(what, alive, status, state):
    assert joined(what, alive, status).name == state
    if what is not None:
        assert joined(by_the_clock(what), alive, status).name == state


@pytest.mark.parametrize(
    ("what", "alive", "words"),
    [
        (ended(42, -9, exit_code=42, cause=1), NONE, "worker 1 was killed by SIGKILL"),
        (ended(1, -15, exit_code=1, cause=0), NONE, "worker 0 exited with code 1"),
        (record(), Alive(False, (False, True)), "supervised it is gone, but worker 1 lives"),
        (record(None, -9, cause=1), ALL, "worker 1 was killed by SIGKILL; the others are being stopped"),
        (record(), NONE, "nobody saw them end"),
        (record(host="elsewhere"), AWAY, "its processes are on elsewhere"),
        (record(), HELD, "its lock is held by a process that cannot be seen from here"),
        (ended(exit_code=1, processes=()), Alive(False, ()), "could not be started"),
    ],
)
def test_explanation(what, alive, words):
    assert words in joined(what, alive, said("running")).explanation


def test_silence_is_explained():
    state = joined(None, Alive(False, ()), said("running", timedelta(hours=1)))
    assert state == State("interrupted", "its trainer has written nothing for over a minute")


@pytest.mark.parametrize(
    ("minutes", "state"),
    [
        (
            5,
            State("restarting", "worker 1 is gone"),
        ),  # a pod waits for the others for ten minutes, in silence
        (12, State("interrupted", "its trainer has written nothing for over ten minutes")),
    ],
)
def test_a_restart_may_take_as_long_as_a_new_pod_does(minutes, state):
    word = {**said("restarting", timedelta(minutes=minutes)), "message": "worker 1 is gone"}
    assert joined(None, Alive(False, ()), word) == state


def test_times_without_a_zone_are_utc_and_nonsense_is_none():
    assert parse_time("2026-01-02T12:00:00") == NOW
    assert parse_time("yesterday") is None
    assert parse_time(None) is None


STEPS = st.sampled_from([-5, 5, -3600, 3600]) | st.integers(-10 * 366 * 86400, 10 * 366 * 86400)
RECORDS = st.sampled_from(
    [
        record(),
        record(cancelled=True),
        record(None, -9, cause=1),
        record(supervisor=None, processes=()),
        ended(0, 0, exit_code=0),
        ended(42, 42, exit_code=42, cancelled=True),
        ended(42, -9, exit_code=42, cause=1),
        ended(1, -15, exit_code=1, cause=0),
    ]
)


@given(
    RECORDS,
    st.sampled_from([ALL, NONE, HELD]),
    st.sampled_from(["starting", "running", "finished"]),
    STEPS,
    STEPS,
)
def test_no_step_of_the_clock_moves_a_state(what, alive, word, before, after):
    """The clock is set before the trainer's last word, and again before somebody looks."""
    still = join_state(what, alive, {"state": word, "updated": LAST}, 0.0)
    moved = (NOW + timedelta(seconds=before, microseconds=1)).isoformat()
    last = moved if what.last_word else None
    assert join_state(replace(what, last_word=last), alive, {"state": word, "updated": moved}, after) == still


@given(st.sampled_from(sorted(LIVE_STATES)), STEPS)
def test_a_trainer_whose_process_is_known_needs_no_clock(word, step):
    status = said(word)
    assert join_state(None, Alive(False, ()), status, step, True).name == word
    assert join_state(None, Alive(False, ()), status, step, False).name == "interrupted"
    assert join_state(None, Alive(False, ()), said("finished"), step, False).name == "finished"


def test_a_folder_that_is_claimed_and_held_is_of_a_run_that_begins():
    """As between the claim of a name and the first record of its processes, when another looks."""
    assert join_state(None, HELD, None, None).name == "starting"
    assert join_state(None, Alive(False, ()), None, None).name == "unknown"
