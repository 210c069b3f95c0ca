"""What a submission writes into a run's folder: claimed once, taken back whole, in both kinds of store."""

import json

import pytest

from launcher.backends.kubernetes.jobs.claim import Claim, mark, run_json
from launcher.backends.kubernetes.jobs.record import ClusterRecord, read_record
from launcher.errors import RunAlive, RunExists
from launcher.render import render
from launcher.render.cronjob import Timing, render_schedule
from launcher.spec.runspec import make_spec
from tests.launcher.kubernetes_objects import stamp
from trainer.config import validate
from trainer.errors import GantryError
from trainer.run import layout

SPEC = make_spec(
    "mlp",
    (),
    "one",
    image="reg/gantry:1",
    root="gs://runs/gan",
    backend="kubernetes",
    context="c",
    namespace="team",
)


def record(attempt=1, seconds=0):
    return ClusterRecord(
        attempt=attempt,
        job="one" if attempt == 1 else f"one-r{attempt}",
        namespace="team",
        context="c",
        server="https://c",
        workers=1,
        submitted=f"2026-11-20T12:00:{seconds:02}+00:00",
        spec=SPEC.model_dump(mode="json"),
    )


def content(store):
    return {found.name: store.read(found.name) for found in store.list()}


def claimed(store, attempt=1):
    claim = Claim(SPEC.path, store)
    claim.write(SPEC, record(attempt), f"attempt: {attempt}\n", new=attempt == 1)
    return claim


def test_a_claim_says_what_is_sent_and_where(store):
    claimed(store)
    assert read_record(store) == record()
    assert store.read(layout.MANIFESTS) == b"attempt: 1\n"
    run = json.loads(store.read(layout.RUN))
    assert validate(run["config"], "run.json") == SPEC.config()
    assert "warm_start" not in run["config"]  # which the trainer of an older image would refuse
    assert (run["preset"], run["world_size"], run["image"]) == ("mlp", 1, "reg/gantry:1")
    assert run["git_revision"] is None
    assert list(run["versions"]) == ["launcher"]


def test_a_warm_start_that_is_asked_for_is_in_the_claim():
    asked = SPEC.model_copy(update={"overrides": ("warm_start.run=latest",)})
    assert json.loads(run_json(asked, stamp()))["config"]["warm_start"]["run"] == "latest"


def test_a_claim_of_a_new_name_is_taken_back_whole(store):
    claimed(store).take_back()
    assert content(store) == {}


def test_the_second_claim_of_a_name_is_refused_and_harms_nothing(store):
    second = Claim(SPEC.path, store)  # both looked before either wrote
    claimed(store)
    before = content(store)
    with pytest.raises(
        RunExists, match=r"launcher resume gan/one.*launcher delete gan/one --artifacts.*--name"
    ):
        second.write(SPEC, record(), "", new=True)
    second.take_back()
    assert content(store) == before
    with pytest.raises(RunExists):
        Claim(SPEC.path, store).check_new()


def test_a_resume_that_is_taken_back_leaves_the_attempt_before(store):
    claimed(store)
    before = content(store)
    claim = claimed(store, 2)
    assert read_record(store) == record(2)
    claim.take_back()
    assert content(store) == before


def test_a_resume_of_a_firing_that_never_began_writes_the_record_that_its_pods_expect(store):
    store.write(layout.CLUSTER, record().to_json())  # all that was kept when its Job went
    claim = claimed(store, 2)
    assert validate(json.loads(store.read(layout.RUN))["config"], "run.json") == SPEC.config()
    claim.take_back()
    assert content(store) == {layout.CLUSTER: record().to_json()}


def test_a_resume_leaves_the_record_that_there_is(store):
    store.write(layout.RUN, b"the trainer's")
    claimed(store, 2)
    assert store.read(layout.RUN) == b"the trainer's"


def test_a_resume_of_what_no_trainer_has_begun_may_say_otherwise(store):
    claimed(store)
    before = content(store)
    claimed(store, 2).take_back()
    assert content(store) == before  # the same values: the same record
    other = SPEC.model_copy(update={"overrides": ("seed=3",)})
    claim = Claim(SPEC.path, store)
    claim.write(other, record(2), "attempt: 2\n", new=False)
    run, old = json.loads(store.read(layout.RUN)), json.loads(before[layout.RUN])
    assert (run["config"]["seed"], run["overrides"], run["created"]) == (3, ["seed=3"], old["created"])
    claim.take_back()
    assert content(store) == before
    begun = {**old, "versions": {**old["versions"], "python": "3.11"}}
    store.write(layout.RUN, json.dumps(begun).encode())
    Claim(SPEC.path, store).write(other, record(2), "", new=False)
    assert json.loads(store.read(layout.RUN)) == begun


def test_the_pods_of_a_submission_are_told_of_the_record_and_those_of_a_schedule_are_not():
    job = render(SPEC)[0]
    before = json.dumps(job)
    template = mark(job, {})["spec"]["template"]
    assert json.dumps(job) == before
    told = template["metadata"]["annotations"]
    assert told == {**job["spec"]["template"]["metadata"]["annotations"], "gantry/claimed": "1"}
    [trainer] = template["spec"]["containers"]
    [variable] = [each for each in trainer["env"] if each["name"] == "GANTRY_CLAIMED"]
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.annotations['gantry/claimed']"
    cron = render_schedule(SPEC.model_copy(update={"context": None}), Timing("0 3 * * *"))[0]
    assert "annotations" in (made := cron["spec"]["jobTemplate"]["spec"]["template"]["metadata"])
    assert "gantry/claimed" not in made["annotations"]


def test_of_two_resumes_the_second_is_refused_and_harms_nothing(store):
    claimed(store)
    second = Claim(SPEC.path, store)
    claimed(store, 2)
    before = content(store)
    with pytest.raises(RunAlive, match="somebody else resumes it"):
        second.write(SPEC, record(2, seconds=1), "", new=False)
    second.take_back()
    assert content(store) == before


def test_what_others_wrote_since_is_not_taken_back(store):
    claim = claimed(store)
    store.write(layout.RUN, b"the trainer's")
    claim.take_back()
    assert content(store) == {layout.RUN: b"the trainer's"}


def test_attempts_count_on_from_any_trace(store):
    assert Claim(SPEC.path, store).next_attempt() == 1
    claimed(store)
    assert Claim(SPEC.path, store).next_attempt() == 2
    store.write(layout.worker_log(4, 0), b"")  # of a launcher on some other machine
    assert Claim(SPEC.path, store).next_attempt() == 5


@pytest.mark.parametrize("damaged", [b"{", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "job": "x"}'])
def test_a_damaged_record_is_named(store, damaged):
    store.write(layout.CLUSTER, damaged)
    with pytest.raises(GantryError, match=r"cluster\.json: "):
        read_record(store)
