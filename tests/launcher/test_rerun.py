"""A run again under a new name: nothing of it is lost, and nothing is stopped in vain."""

import json
import shutil
from pathlib import Path

import pytest

from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.backends.kubernetes.jobs.references import named
from launcher.backends.local.record import read_record
from launcher.errors import RunExists, SpecError, Unsupported
from launcher.render import render
from launcher.runs import rerunning, verbs
from launcher.runs.find import Place
from launcher.spec import templates
from launcher.spec.runspec import RunSpec, make_spec
from launcher.spec.settings import given
from tests.launcher.run_folder import put, write_run
from tests.launcher.waiting import wait_until
from trainer.storage import LocalStore

WHOLE = {
    "overrides": ("steps=7", "data.source=images:/a b/$HOME", "network.generator_units=[8, 16]"),
    "workers": 2,
    "threads": 3,
    "backend": "kubernetes",
    "image": "reg/gantry:1",
    "image_pull_policy": "Never",
    "gpus": 1,
    "pod_labels": {"team.example/mesh": "off"},
    "pod_annotations": {"sidecar.istio.io/inject": "false"},
    "cpu": "500m",
    "memory": "8Gi",
    "context": "kind",
    "namespace": "team",
    "profiles": ("network-policy", "spot"),
    "queue": "gpus",
    "google_service_account": "a@p.iam.gserviceaccount.com",
    "env": {"LEVEL": "2", "HF_TOKEN": "none of a kind"},
    "env_secrets": {"API_TOKEN": "hub/token"},
    "env_plain": ("HF_TOKEN",),
    "backoff_limit": 0,
    "ttl_seconds_after_finished": 60,
    "active_deadline_seconds": 3600,
    "grace_seconds": 90,
    "experiment": "faces",
    "manifests": str(templates.folder()),
}
OTHER = {"preset": "mlp", "name": "one", "root": "runs"}  # which no value of its own could show
ALONE = {"service_account": "trainer", "google_service_account": None}  # the two exclude each other
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: other
contexts:
- {name: kind, context: {cluster: kind, namespace: default}}
- {name: other, context: {cluster: other, namespace: default}}
clusters:
- {name: kind, cluster: {server: "https://cluster"}}
- {name: other, cluster: {server: "https://elsewhere"}}
"""


@pytest.fixture
def recorded(desk, tmp_path, monkeypatch):
    """Write the folder of a run that was submitted to a cluster with such a specification."""
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)

    def write(tmp=tmp_path / "runs", **values):
        # Its folder is read from a disk; so that a bucket's root is asked for all the same, it is said below.
        spec = make_spec("mlp", name="one", root="gs://runs/gan", **{**WHOLE, **values})
        folder = write_run(tmp / spec.experiment / "one")
        record = ClusterRecord(
            1,
            "one",
            "team",
            "kind",
            "https://cluster",
            2,
            "2026-01-02T03:04:05",
            spec.model_dump(mode="json"),
        )
        put(folder, "cluster.json", record.to_json().decode())
        return spec, str(tmp)

    return write


def rerun_spec(root, flags=None, unset=(), run="faces/one"):
    """The specification of the run again; its folder stands for one in a bucket."""
    return rerunning.plan(Place(root), run, given(flags or {}), unset=unset, root="gs://runs/gan").spec


def without_name(spec):
    return spec.model_dump(exclude={"name"})


def test_every_field_of_a_run_has_a_value_here():
    assert {*WHOLE, *OTHER, *ALONE} == set(RunSpec.model_fields), "a new field is given a value above"
    usual = {name: field.get_default() for name, field in RunSpec.model_fields.items() if name in WHOLE}
    assert not [name for name, value in WHOLE.items() if usual[name] == value]


@pytest.mark.parametrize("more", [{}, ALONE])
def test_every_field_survives(recorded, more):
    spec, root = recorded(**more)
    again = rerun_spec(root)
    assert without_name(again) == without_name(spec)
    assert again.name != spec.name


def test_what_is_given_wins_and_all_else_stays(recorded):
    spec, root = recorded()
    flags = {"memory": "9Gi", "overrides": ["seed=4"], "env": ["LEVEL=3"], "env_plain": ["MY_TOKEN"]}
    flags["env"].append("MY_TOKEN=no secret")
    again = rerun_spec(root, flags)
    assert again.memory == "9Gi"
    assert again.overrides == (*spec.overrides, "seed=4")
    assert again.env == {"LEVEL": "3", "HF_TOKEN": "none of a kind", "MY_TOKEN": "no secret"}
    assert set(again.env_plain) == {"HF_TOKEN", "MY_TOKEN"}
    changed = {"memory", "overrides", "env", "env_plain", "name"}
    assert again.model_dump(exclude=changed) == spec.model_dump(exclude=changed)


def test_what_is_unset_is_gone_with_what_came_along(recorded):
    spec, root = recorded()
    again = rerun_spec(root, {"gpus": 0}, ["queue", "env.HF_TOKEN", "set.steps", "env_secrets"])
    assert (again.queue, again.gpus, again.env, again.env_secrets) == (None, 0, {"LEVEL": "2"}, {})
    assert again.profiles == ("network-policy", "spot", "workload-identity")
    assert again.env_plain == ()
    assert again.overrides == spec.overrides[1:]
    with pytest.raises(
        SpecError, match=r"--unset set\.stepz: expected one of what the run has: .*set\.steps"
    ):
        rerun_spec(root, {}, ["set.stepz"])


def test_a_context_is_found_by_the_cluster_s_address_and_a_typed_one_wins(recorded):
    _, root = recorded(context="as-somebody-else-calls-it")
    again = rerun_spec(root)
    assert (again.context, again.namespace) == ("kind", "team")
    assert rerun_spec(root, {"namespace": "lim"}).namespace == "lim"
    moved = rerun_spec(root, {"context": "other", "namespace": "lim"})
    assert (moved.context, moved.namespace) == ("other", "lim")


def test_a_secret_of_an_old_record_is_refused_and_taken_from_a_secret(recorded):
    _, root = recorded()
    (path,) = Path(root).glob("*/*/cluster.json")
    kept = json.loads(path.read_text())
    kept["spec"]["env"]["DB_PASSWORD"] = "hunter2-and-more"
    path.write_text(json.dumps(kept))
    with pytest.raises(SpecError, match="DB_PASSWORD") as failure:
        rerun_spec(root)
    assert "hunter2" not in str(failure.value)
    again = rerun_spec(root, {"env_secrets": ["DB_PASSWORD=db/password"]})
    assert again.env_secrets["DB_PASSWORD"] == "db/password"


def test_one_that_was_trained_by_hand_and_then_further(tmp_path):
    folder = write_run(tmp_path / "gan/one")
    run = json.loads((folder / "run.json").read_text())
    run["config"]["steps"] = 333
    put(folder, "run.json", run)
    spec = rerunning.plan(str(tmp_path), "one").spec
    assert (spec.backend, spec.workers, spec.config().steps) == ("local", 2, 333)


def test_nothing_says_how_it_was_started(tmp_path):
    put(tmp_path / "gan/one", "status.json", {"state": "starting"})
    with pytest.raises(Unsupported, match="says how it was started"):
        rerunning.plan(str(tmp_path), "one")


def test_a_local_run_keeps_what_it_was_asked_for(submit, root):
    submit("exit:0", "exit:0")
    wait_until(lambda: not verbs.status(root, "one").live, "the end")
    spec = rerunning.plan(root, "one", given({"workers": 1})).spec
    assert (spec.workers, spec.threads, spec.root, spec.preset) == (1, None, root, "mlp")


def test_to_a_cluster_and_back(submit, root, recorded):
    submit("exit:0")
    wait_until(lambda: not verbs.status(root, "one").live, "the end")
    there = rerunning.plan(root, "one", given({"image": "reg/g:1"}), root="gs://b-1/gan").spec
    assert (there.backend, there.image, there.root) == ("kubernetes", "reg/g:1", "gs://b-1/gan")
    _, folder = recorded(threads=2)
    here = rerunning.plan(Place(folder), "faces/one", given({"backend": "local"})).spec
    assert (here.backend, here.image, here.threads, here.workers) == ("local", None, 2, 2)


# In the place of one that lives.


def test_what_would_be_refused_stops_nothing(submit, root, fake):
    submit("train")
    with pytest.raises(SpecError, match="expected another than the run's own"):
        rerunning.plan(root, "one", given({"name": "one"}))
    (Path(root) / "gan/two").mkdir()
    (Path(root) / "gan/two/run.json").write_text("{}")
    with pytest.raises(RunExists):
        plan = rerunning.plan(root, "one", given({"name": "two"}))
        rerunning.begin(plan, replace=True, command=fake("exit:0"))
    shutil.rmtree(Path(root) / "gan/two")
    gone = given({"warm_start": "absent"})
    with pytest.raises(SpecError, match=r"warm_start\.run"):
        rerunning.begin(rerunning.plan(root, "one", gone), replace=True, command=fake("exit:0"))
    wait_until((Path(root) / "gan/one/run.json").exists, "what the run keeps")
    with pytest.raises(SpecError, match="--set seed=4: expected 0"):
        rerunning.resume(root, "one", ["seed=4"], command=fake("exit:0"))
    assert verbs.status(root, "one").live
    assert [each.run for each in verbs.list_runs(root)] == ["one"]


def test_one_that_lives_goes_on_beside_unless_it_is_to_be_replaced(submit, root, fake, capsys):
    submit("train")
    plan = rerunning.plan(root, "one", given({"name": "two"}))
    rerunning.begin(plan, command=fake("train"))
    assert verbs.status(root, "one").live and verbs.status(root, "two").live
    plan = rerunning.plan(root, "two", given({"name": "three"}))
    rerunning.begin(plan, replace=True, command=fake("train"))
    assert not verbs.status(root, "two").live
    assert verbs.status(root, "three").live and verbs.status(root, "one").live
    assert "run 'two' is stopped" in capsys.readouterr().err


def test_what_is_refused_after_the_stop_says_the_way_back(submit, root, fake, capsys):
    submit("train")
    calls = []

    def breaks(spec, threads):
        calls.append(spec)
        if len(calls) > 1:
            raise SpecError("the disk is gone")
        return fake("exit:0")(spec, threads)

    with pytest.raises(SpecError, match="the disk is gone"):
        rerunning.begin(rerunning.plan(root, "one", given({"name": "two"})), replace=True, command=breaks)
    said = capsys.readouterr().err
    assert "nothing has taken the place of run 'one'" in said
    assert f"`launcher resume gan/one --root {root}`" in said


def test_resume_replaces_the_attempt_that_is_under_way(submit, root, fake):
    submit("train")
    rerunning.resume(root, "one", command=fake("train"), grace_seconds=7)
    now = verbs.status(root, "one")
    assert (now.attempt, now.live) == (2, True)
    assert read_record(LocalStore(f"{root}/gan/one")).grace_seconds == 7


def test_what_pods_cannot_begin_without_is_read_from_what_is_sent():
    spec = make_spec(
        "mlp", name="one", root="gs://runs/gan", image="reg/g:1", service_account="trainer",
        env_secrets={"HUB_TOKEN": "hub/token"},
    )  # fmt: skip
    template = render(spec)[0]["spec"]["template"]
    template["spec"]["volumes"] += [
        {"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "b", "configMap": {"name": "settings", "optional": True}},
    ]
    found = set(named(template))
    assert found == {("ServiceAccount", "trainer"), ("Secret", "hub"), ("PersistentVolumeClaim", "data")}
