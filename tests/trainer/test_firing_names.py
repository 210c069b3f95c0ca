"""Names of a schedule's runs: no two Jobs share one, and everybody comes to the same."""

import re
from datetime import UTC, date, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from launcher.render.labels import (
    belongs,
    firing_run,
    firing_time,
    of_run,
    run_of,
    schedules_of,
    triggered_run,
)
from launcher.schedules.creating import LONGEST_SUFFIX, check_schedule_name
from launcher.spec.runspec import default_name
from launcher.spec.validation import name_limit
from trainer.pod.scheduled_run import identify
from trainer.run import firing_names, layout
from trainer.run.layout import RunPath

# Few letters, so that names collide, begin each other and look like dates.
WORDS = st.from_regex(r"[abt012]([-abt012]{0,12}[abt012])?", fullmatch=True)
NUMBERS = st.from_regex(r"[0-9]{1,10}", fullmatch=True)
SCHEDULES = st.one_of(WORDS, st.from_regex(r"[a-z]([-a-z0-9]{0,39}[a-z0-9])?", fullmatch=True))
UIDS = st.uuids().map(str)


@st.composite
def jobs(draw):
    """A schedule's name, the name of a Job of it, which may look like anybody's, and the Job's uid."""
    schedule = draw(SCHEDULES)
    ends = st.one_of(WORDS, NUMBERS, st.integers(26_297_280, 99_999_999).map(str))
    own = draw(st.one_of(ends, ends.map(lambda end: f"{schedule}-{end}")))
    assume(layout.LABEL.fullmatch(own))
    return schedule, own, draw(UIDS)


@given(one=jobs(), other=jobs())
def test_two_jobs_never_are_one_run(one, other):
    if one[:2] != other[:2] or (one[2] != other[2] and firing_names.due(*one[:2]) is None):
        # Of two schedules a-b and a, a firing of the one is never what somebody called a Job of the other.
        assert firing_run(*one) != firing_run(*other)


@given(one=jobs())
def test_pods_and_launchers_come_to_the_same_run_whose_name_fits(one):
    schedule, job, uid = one
    run = firing_run(*one)
    told = identify(None, schedule, {"GANTRY_JOB": job, "GANTRY_JOB_UID": uid})
    assert (told.run, told.schedule) == (run, schedule)
    assert layout.LABEL.fullmatch(run)
    assert run.startswith(f"{schedule}-")
    # What a schedule's own name may be leaves room for it, and so does any number of workers.
    assert len(run) <= max(len(schedule) + len(LONGEST_SUFFIX), name_limit(100_000))
    assert schedule in schedules_of(run)
    assert all(layout.LABEL.fullmatch(name) for name in schedules_of(run))


@given(one=jobs())
def test_what_somebody_called_a_job_never_looks_like_a_firing_s_time(one):
    run = firing_run(*one)
    by_controller = firing_names.due(*one[:2]) is not None
    assert (firing_time(one[0], run) is not None) == by_controller
    assert (re.search(r"-\d{8}-\d{4}(\d{2})?$", run) is not None) == by_controller


def test_dates_and_counts_are_names_and_not_minutes():
    for end in ("1", "001", "20261130", "20991231", "202611301200", "29366100x"):
        assert firing_names.due("weekly", f"weekly-{end}") is None
    assert firing_names.due("weekly", "weekly-29366100") == datetime(2025, 11, 1, 3, tzinfo=UTC)
    assert firing_names.by_hand("weekly", "weekly-manual-x1", "u").startswith("weekly-manual-x1-")


@given(day=st.dates(date(2020, 1, 1), date(2159, 1, 1)), preset=st.sampled_from(["mlp", "dcgan", "7"]))
def test_a_default_name_never_looks_like_a_firing(day, preset):
    for _ in range(20):
        name = default_name(preset, day)
        assert all(firing_time(schedule, name) is None for schedule in schedules_of(name))


def labelled(instance, name, told=(), **labels):
    """A Job in one root and experiment."""
    given = {
        "app.kubernetes.io/name": "gantry",
        "app.kubernetes.io/part-of": "gan",
        "app.kubernetes.io/instance": instance,
        **{key.replace("__", "/"): value for key, value in labels.items()},
    }
    metadata = {"name": name, "uid": "u", "labels": given, "annotations": {"gantry/root": "gs://b/r"}}
    containers = [{"name": "trainer", "args": ["worker", *told]}]
    return {"metadata": metadata, "spec": {"template": {"spec": {"containers": containers}}}}


@given(
    name=WORDS,
    time=st.datetimes(datetime(2020, 1, 1), datetime(2159, 1, 1)).map(lambda time: time.replace(tzinfo=UTC)),
)
def test_a_run_that_is_called_like_a_firing_is_none(name, time):
    """What tells is the label: a person's run keeps the name that it was given, whatever that looks like."""
    minutes = int((time - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(minutes=1))
    for run in (f"{name}-{time:%Y%m%d-%H%M}", triggered_run(name, time)):
        own = RunPath("gs://b/r", "gan", run)
        persons = labelled(run, f"{name}-{minutes}")
        assert run_of(persons) == own and belongs(persons, own)
        other = RunPath("gs://b/r", "gan", firing_run(name, "mytest", "u"))
        assert not belongs(persons, other)
        assert f"instance in ({run}," in of_run(own)
    fired = labelled(name, f"{name}-{minutes}", gantry__schedule=name)
    assert run_of(fired).name == f"{name}-{time:%Y%m%d-%H%M}"
    triggered = labelled(name, f"{name}-tsunami", ("--run", "told"), gantry__schedule=name)
    assert run_of(triggered).name == "told"


def test_the_longest_name_of_a_schedule_leaves_room():
    check_schedule_name("x" * 41, 10)
    assert len(firing_names.by_hand("x" * 41, "y" * 60, "u")) == 41 + len(LONGEST_SUFFIX)
