"""What differs between objects, without what servers and controllers add; on objects as they are shown."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.jobs.claim import Claim
from launcher.backends.kubernetes.jobs.owner import sign
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.cli import main
from launcher.diagnosis.diff import compare, laid_over
from launcher.errors import SpecError
from launcher.render import render, to_yaml
from launcher.render.cronjob import Cluster, Timing, render_schedule
from launcher.spec import settings
from launcher.spec.runspec import make_spec
from tests.launcher.terminal import Terminal
from trainer.storage import open_store


def spec(**values):
    given = {"root": "gs://bucket/gan", "image": "registry/gantry:0.1.0", "namespace": "gan", "workers": 2}
    return make_spec(values.pop("preset", "mlp"), values.pop("overrides", ()), "one", **{**given, **values})


def alive(manifests, uid="1"):
    """Manifests as a cluster shows them once controllers have had their way with them."""
    found = copy.deepcopy(manifests)
    for each in found:
        each["metadata"] |= {"uid": uid, "resourceVersion": uid, "creationTimestamp": "now", "generation": 1}
        each["metadata"]["managedFields"] = [{"manager": "launcher"}]
        each["status"] = {"active": 1}
    job = found[0]
    job["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    job["spec"]["suspend"] = False
    job["metadata"].setdefault("annotations", {}).update({"gantry/cancelled": "now", "gantry/owner": "ada"})
    for key in ("batch.kubernetes.io/controller-uid", "controller-uid", "job-name"):
        job["spec"]["template"]["metadata"]["labels"][key] = uid
    job["spec"]["template"]["metadata"]["creationTimestamp"] = None
    for child in found[1:]:
        child["metadata"]["ownerReferences"] = [{"uid": uid}]
    return found


def test_what_a_cluster_adds_is_no_difference():
    manifests = render(spec(profiles=["spot", "network-policy"]))
    found = compare(alive(manifests, "1"), alive(manifests, "2"))
    assert not found
    assert found.text == found.changes == []
    assert not compare(alive(manifests), manifests)


def test_who_made_a_schedule_is_no_setting_of_it():
    mine = render_schedule(spec(workers=1), Timing("0 3 * * *"), Cluster("gan", "c", "https://c"))
    theirs = copy.deepcopy(mine)
    sign(theirs[0]["spec"]["jobTemplate"], "ada")
    assert theirs != mine
    assert not compare(theirs, mine)


def admitted(manifests):
    """A Job that Kueue let in, as its version 0.17 does, to nodes that its ResourceFlavor describes."""
    found = alive(manifests)
    template = found[0]["spec"]["template"]
    template["metadata"]["labels"]["kueue.x-k8s.io/podset"] = "main"
    template["metadata"].setdefault("annotations", {})["kueue.x-k8s.io/workload"] = "job-one-1"
    template["spec"].setdefault("nodeSelector", {})["disk"] = "fast"
    template["spec"].setdefault("tolerations", []).append({"key": "spot", "operator": "Exists"})
    written = {
        "f:metadata": {
            "f:annotations": {"f:kueue.x-k8s.io/workload": {}},
            "f:labels": {"f:kueue.x-k8s.io/podset": {}},
        },
        "f:spec": {"f:nodeSelector": {}, "f:tolerations": {}},
    }
    owned = {"f:spec": {"f:suspend": {}, "f:template": written}}
    found[0]["metadata"]["managedFields"].append({"manager": "kueue", "fieldsV1": owned})
    return found


def test_what_kueue_adds_is_no_difference_and_what_others_changed_is():
    manifests = render(spec(profiles=["kueue", "spot"], queue="research"))
    assert not compare(admitted(manifests), manifests)
    theirs = admitted(manifests)
    theirs[0]["spec"]["template"]["metadata"]["labels"]["team"] = "b"
    theirs[0]["spec"]["template"]["spec"]["tolerations"].pop(0)  # the profile's
    found = compare(theirs, manifests)
    assert [each.path for each in found.changes] == [
        "spec.template.metadata.labels.team",
        "spec.template.spec.tolerations",
    ]


def test_what_was_changed_is_named_by_its_path():
    before, after = (
        alive(render(spec(env={"A": "1"}))),
        render(spec(image="registry/gantry:0.2.0", memory="4Gi")),
    )
    found = compare(before, after)
    trainer = "spec.template.spec.containers[name=trainer]"
    assert {(each.object, each.path): (each.old, each.new) for each in found.changes} == {
        ("Job/one", f"{trainer}.image"): ("registry/gantry:0.1.0", "registry/gantry:0.2.0"),
        ("Job/one", f"{trainer}.env[name=A]"): ({"name": "A", "value": "1"}, None),
        ("Job/one", f"{trainer}.resources.requests.memory"): ("2Gi", "4Gi"),
        ("Job/one", f"{trainer}.resources.limits.memory"): ("2Gi", "4Gi"),
    }
    assert "-        image: registry/gantry:0.1.0" in found.text
    assert "+        image: registry/gantry:0.2.0" in found.text
    assert found.text[:2] == ["--- cluster/Job/one", "+++ submit/Job/one"]


def test_whole_objects_come_and_go():
    plain, guarded = render(spec()), render(spec(profiles=["network-policy"]))
    [came] = compare(alive(plain), guarded).changes
    assert (came.object, came.path, came.old) == ("NetworkPolicy/one", "", None)
    [went] = compare(alive(guarded), plain).changes
    assert (went.object, went.path, went.new) == ("NetworkPolicy/one", "", None)


def test_labels_with_dots_and_lists_without_names():
    one, two = render(spec()), render(spec(experiment="faces"))
    paths = {each.path for each in compare(alive(one), two).changes}
    assert 'metadata.labels["app.kubernetes.io/part-of"]' in paths
    assert "spec.template.spec.containers[name=trainer].args" in paths


values = st.recursive(
    st.integers(0, 3) | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "y", "name"]), inner, max_size=3)
        | st.lists(st.fixed_dictionaries({"name": st.sampled_from("pqr"), "v": inner}), max_size=3)
    ),
    max_leaves=12,
)


@given(values, values)
def test_there_are_changes_where_there_is_a_difference_and_only_then(old, new):
    def made(value):
        return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": value}

    found = compare([made(old)], [made(new)])
    assert bool(found) == bool(found.changes) == bool(found.text)
    assert not compare([made(old)], [made(old)])
    back = compare([made(new)], [made(old)])
    assert {(each.path, json.dumps(each.old), json.dumps(each.new)) for each in found.changes} == {
        (each.path, json.dumps(each.new), json.dumps(each.old)) for each in back.changes
    }


def test_settings_are_laid_over_what_was_recorded():
    before = spec(overrides=["steps=9", "seed=3"], env={"A": "1", "B": "2"}, env_secrets={"C": "s/k"}, gpus=1)
    recorded = json.loads(json.dumps(before.model_dump(mode="json")))
    assert laid_over(recorded, settings.given({}), "cluster.json") == before
    flags = {
        "overrides": ["steps=10"],
        "env": ["C=3"],
        "env_secrets": ["A=s/a"],
        "name": "other",
        "workers": 4,
    }
    after = laid_over(recorded, settings.given(flags), "cluster.json")
    assert (after.name, after.workers, after.gpus) == ("one", 4, 1)
    assert set(after.overrides) == {"steps=10", "seed=3"}
    assert after.env == {"B": "2", "C": "3"}
    assert after.env_secrets == {"A": "s/a"}
    with pytest.raises(SpecError, match="memory is '1'"):
        laid_over(recorded, settings.given({"memory": "1"}), "cluster.json")


@pytest.fixture
def submitted(gcs_root, tmp_path, monkeypatch):
    """The folder of a run on a cluster that nobody can reach."""
    path = tmp_path / "kubeconfig"
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    config = {
        "current-context": "c",
        "contexts": [context],
        "clusters": [cluster],
        "users": [{"name": "u", "user": {}}],
    }
    path.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    made = spec(root=gcs_root)
    record = ClusterRecord(1, "one", "gan", "c", "http://127.0.0.1:9", 2, "now", made.model_dump(mode="json"))
    Claim(made.path, open_store(made.path.url)).write(made, record, to_yaml(render(made)), new=True)
    return gcs_root


def test_refusals_are_one_line(capfd, submitted, past_run, root, desk):
    past_run("here")
    for words, told in (
        (["one", "--root", submitted, "--memory", "x"], "memory is 'x'"),
        (["one", "--root", submitted, "--name", "two"], "--name two: expected none"),
        (["here", "--root", root], "processes have no objects"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["diff", *words])
        said = capfd.readouterr()
        assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
        assert told in said.err


def test_where_the_cluster_cannot_be_asked_the_folder_tells(capfd, submitted, desk):
    for words, code, told in (([], 0, ""), (["--memory", "3Gi"], 1, "3Gi")):
        with pytest.raises(SystemExit) as ended:
            main(["diff", "one", "--root", submitted, *words])
        said = capfd.readouterr()
        assert ended.value.code == code, said.err
        assert told in said.out
        assert said.err.startswith("note: the cluster cannot be asked (no cluster reachable")
        assert said.err.count("\n") == 1


_SHOW = """
from launcher.commands.diff import write_difference
from launcher.diagnosis.diff import Difference
lines = ["--- a", "+++ b", "@@ -1 +1 @@", "-  image: [old]", "+  image: [new]", " same"]
write_difference(Difference([], lines))
"""


def test_a_terminal_shows_it_in_colours_and_text_is_no_markup():
    terminal = Terminal("-c", _SHOW)
    try:
        assert terminal.leave() == 0, terminal.text
        assert "\x1b[31m-  image: [old]" in terminal.text
        assert "\x1b[32m+  image: [new]" in terminal.text
    finally:
        terminal.close()
