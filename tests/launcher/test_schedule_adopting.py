"""Schedules that others have edited: what they were asked for, and reading that back where it is gone."""

import copy
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.diagnosis.diff import laid_over
from launcher.diagnosis.diff.objects import compare
from launcher.render.cronjob import Cluster, Timing, render_schedule
from launcher.schedules.adopting import asked_of
from launcher.schedules.model import asked_timing, edited, path_of, suspend_patch, timing_of
from launcher.spec.runspec import make_spec
from launcher.spec.settings import Layered
from trainer.run.layout import RunPath

HERE = Cluster("gan", "kind", "https://cluster")
TIMING = Timing("0 3 * * 1", "Europe/Paris", "Replace", 60, 1, 2)
MADE = datetime(2026, 11, 30, tzinfo=UTC)


def rendered(timing=TIMING, **values):
    given = {"root": "gs://bucket/gan", "image": "registry/gantry:0.1.0", "namespace": "gan", "workers": 2}
    spec = make_spec("mlp", values.pop("sets", ["steps=9"]), "nightly", **{**given, **values})
    return render_schedule(spec, timing, HERE)


def without(cron, *keys, record=True):
    """A CronJob as others leave it behind: without annotations, and perhaps without the record."""
    cron = copy.deepcopy(cron)
    for key in keys:
        cron["metadata"]["annotations"].pop(key, None)
    if not record:
        [container] = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        next(each for each in container["env"] if each["name"] == "GANTRY_RECORD")["value"] = ""
    return cron


def again(cron):
    """The same schedule rendered from what can be read of it."""
    asked = asked_of(cron)
    return asked, render_schedule(laid_over(asked.spec, Layered({}), "here"), asked_timing(cron), HERE)


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "workers": st.sampled_from([1, 2, 3]),
        "threads": st.sampled_from([1, 4]),
        "cpu": st.sampled_from(["500m", "0.5", "2"]),
        "memory": st.sampled_from(["1Gi", "1024Mi"]),
        "gpus": st.sampled_from([1, 2]),
        "queue": st.just("team"),
        "profiles": st.sampled_from([["spot"], ["network-policy", "spot"]]),
        "service_account": st.just("robot"),
        "image_pull_policy": st.sampled_from(["Always", "IfNotPresent"]),
        "env": st.sampled_from([{"A": "$(B) $$"}, {"GANTRY_PEER_SECONDS": "3", "X": ""}]),
        "env_secrets": st.just({"TOKEN": "hub/token"}),
        "backoff_limit": st.sampled_from([0, 7]),
        "grace_seconds": st.just(90),
        "ttl_seconds_after_finished": st.just(60),
        "active_deadline_seconds": st.just(3600),
        "sets": st.sampled_from([["batch_size=12"], ["steps=5", "batch_size=12"]]),
    },
)


@settings(max_examples=20)  # each renders a schedule twice
@given(values=VALUES)
def test_what_is_read_back_is_rendered_to_the_same_objects(values):
    values = {"workers": 2, "sets": ["batch_size=12"], **values, "active_deadline_seconds": 86400}
    objects = rendered(**values)
    asked, same = again(without(objects[0], "gantry/spec"))
    assert not compare(objects, same)
    assert {"preset mlp", "image registry/gantry:0.1.0"} <= set(asked.taken)
    assert again(objects[0])[0].taken == []


@settings(max_examples=20)
@given(values=VALUES.filter(lambda values: "profiles" not in values))
def test_without_the_record_the_pods_own_words_are_enough_but_for_profiles(values):
    values = {"workers": 2, "sets": ["batch_size=12"], **values, "active_deadline_seconds": 86400}
    objects = rendered(**values)
    bare = without(objects[0], "gantry/spec", "gantry/root", "gantry/timing", record=False)
    bare["metadata"]["labels"].pop("app.kubernetes.io/part-of")
    assert path_of(bare) == RunPath("gs://bucket/gan", "gan", "nightly")
    assert not compare(objects, again(bare)[1])


def test_what_others_have_put_into_the_pods_is_what_is_taken():
    cron = without(rendered(cpu="0.5", env={"A": "1"})[0], "gantry/spec")
    [container] = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    container["image"] = "registry/gantry:0.3.0"
    container["args"] = [
        "--set" if word == "--set" else word.replace("steps=9", "steps=7") for word in container["args"]
    ]
    container["resources"]["requests"]["cpu"] = "500m"  # as the API server writes it
    asked = asked_of(cron)
    assert (asked.spec["image"], asked.spec["overrides"]) == ("registry/gantry:0.3.0", ["steps=7"])
    assert asked.spec["cpu"] == "0.5"
    assert {"image registry/gantry:0.3.0", "overrides steps=7", "env A"} <= set(asked.taken)


def test_a_secret_looking_value_that_is_there_in_plain_text_does_not_keep_a_schedule_from_being_adopted():
    cron = without(
        rendered(env={"API_TOKEN": "abcdefgh"}, env_plain=["API_TOKEN"])[0], "gantry/spec", record=False
    )
    asked, _ = again(cron)
    assert asked.spec["env_plain"] == ["API_TOKEN"]
    assert not any("abcdefgh" in each for each in asked.taken)


@pytest.mark.parametrize("damaged", ["", "{", "[]", "7", "null"])
def test_a_damaged_annotation_is_one_that_is_gone(damaged):
    cron = rendered()[0]
    cron["metadata"]["annotations"]["gantry/spec"] = damaged
    assert asked_of(cron).taken
    cron["metadata"]["annotations"]["gantry/timing"] = damaged
    assert asked_timing(cron) == TIMING


EDITS = {
    "schedule": "0 4 * * *",
    "timeZone": "Etc/UTC",
    "suspend": True,
    "concurrencyPolicy": "Allow",
    "startingDeadlineSeconds": 999,
    "successfulJobsHistoryLimit": 0,
    "failedJobsHistoryLimit": 9,
}


@settings(max_examples=20)
@given(fields=st.sets(st.sampled_from(sorted(EDITS))))
def test_every_field_that_others_edit_is_shown_and_can_be_put_back(fields):
    live = rendered()[0]
    live["spec"] |= {field: EDITS[field] for field in fields}
    assert set(edited(live)) == fields
    assert asked_timing(live) == TIMING
    changes = compare([live], [rendered(asked_timing(live))[0]]).changes
    assert {change.path for change in changes} == {f"spec.{field}" for field in fields}


def test_a_field_that_others_have_removed_is_shown_too():
    live = rendered()[0]
    del live["spec"]["startingDeadlineSeconds"]
    assert [each.path for each in compare([live], rendered()[:1]).changes] == ["spec.startingDeadlineSeconds"]


def test_to_suspend_with_the_launcher_is_to_ask_for_it():
    cron = rendered()[0]
    for suspended in (True, False):
        patch = suspend_patch(cron, suspended, MADE)
        cron["metadata"]["annotations"] |= patch["metadata"]["annotations"]
        cron["spec"] |= patch["spec"]
        assert edited(cron) == []
        assert timing_of(cron).suspended is suspended
    cron["spec"]["suspend"] = True  # by another hand
    assert edited(cron) == ["suspend"]


def test_a_schedule_of_an_older_launcher_was_asked_for_what_it_has():
    live = without(rendered()[0], "gantry/timing")
    live["spec"]["concurrencyPolicy"] = "Allow"
    assert (asked_timing(live).concurrency_policy, edited(live)) == ("Allow", [])
    assert json.loads(rendered()[0]["metadata"]["annotations"]["gantry/timing"])["schedule"] == "0 3 * * 1"
