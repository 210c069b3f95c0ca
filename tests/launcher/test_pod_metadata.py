"""Labels and annotations that a user gives the pods: Kubernetes' rules, and every way to say them."""

import json
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from launcher.backends.kubernetes.jobs.record import ClusterRecord, record_of
from launcher.cli import main
from launcher.errors import SpecError
from launcher.records.run_folder import Found
from launcher.render import render
from launcher.render.cronjob import Cluster, Timing, render_schedule
from launcher.render.labels import belongs, run_of
from launcher.runs.resuming import resumed_spec
from launcher.spec.pod_metadata import check_pod_metadata
from launcher.spec.runspec import RunSpec, make_spec
from launcher.spec.settings import layered, recorded, spec_from
from trainer.config import resolve
from trainer.storage import LocalStore

PLACE = {"image": "reg/gantry:1", "root": "gs://runs/gan", "namespace": "team"}
ISTIO, LINKERD = {"sidecar.istio.io/inject": "false"}, {"linkerd.io/inject": "disabled"}


def spec(**values):
    return make_spec("mlp", (), "one", **{**PLACE, **values})


def template(job):
    return job["spec"]["template"]["metadata"]


def test_they_are_the_pods_and_no_selector_s():
    job, service = render(spec(pod_labels=ISTIO, pod_annotations=LINKERD))
    assert template(job)["labels"].items() >= ISTIO.items()
    assert template(job)["annotations"].items() >= LINKERD.items()
    assert "inject" not in json.dumps([job["metadata"], service])
    plain = template(render(spec())[0])
    assert template(job)["labels"] == plain["labels"] | ISTIO
    assert template(job)["annotations"] == plain["annotations"] | LINKERD


def test_a_schedule_s_firings_have_them_and_so_has_their_record():
    cron = render_schedule(
        spec(pod_labels=ISTIO, pod_annotations=LINKERD),
        Timing("0 3 * * 1"),
        Cluster("team", "c", "https://c"),
    )[0]
    inside = cron["spec"]["jobTemplate"]
    assert template(inside)["labels"].items() >= ISTIO.items()
    assert template(inside)["annotations"].items() >= LINKERD.items()
    job = {"metadata": {**inside["metadata"], "name": "one-29926299", "namespace": "team"}, **inside}
    job["metadata"] = {**inside["metadata"], "name": "one-29926299", "namespace": "team", "uid": "u"}
    assert record_of(job).spec["pod_labels"] == ISTIO
    again = RunSpec.model_validate(json.loads(cron["metadata"]["annotations"]["gantry/spec"]))
    assert (again.pod_labels, again.pod_annotations) == (ISTIO, LINKERD)


def test_flags_and_files_are_merged_entry_by_entry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "gantry.yaml").write_text("pod_labels: {team: a, sidecar.istio.io/inject: true}\n")
    file = tmp_path / "run.yaml"
    file.write_text(
        "preset: mlp\nname: one\nimage: reg/gantry:1\nroot: gs://runs/gan\n"
        "pod_labels:\n  sidecar.istio.io/inject: false\npod_annotations: {linkerd.io/inject: disabled}\n"
    )
    found = layered({"pod_labels": ["b=c"], "pod_annotations": ["x.y/z=a=b, c"]}, file)
    made = spec_from(found)
    assert made.pod_labels == {"team": "a", "b": "c", **ISTIO}
    assert made.pod_annotations == {"x.y/z": "a=b, c", **LINKERD}
    assert found.origin("pod_labels.b") == "flag --pod-label"
    assert found.origin("pod_labels.sidecar.istio.io/inject") == f"{file}:6:28"
    assert spec_from(recorded(made.model_dump(mode="json"), "cluster.json")) == made
    (tmp_path / "run.yaml").write_text("pod_labels: {gantry/attempt: 2}\n")
    with pytest.raises(
        SpecError, match=r"run\.yaml:1:30: pod_labels is 'gantry/attempt': expected another key"
    ):
        spec_from(layered({"preset": "mlp", **PLACE}, file))


def test_a_resumed_run_keeps_them_and_takes_more(tmp_path):
    store = LocalStore(tmp_path)
    begun = {"preset": "mlp", "overrides": [], "config": resolve("mlp").model_dump(mode="json")}
    store.write("run.json", json.dumps(begun).encode())
    before = spec(pod_labels=ISTIO, pod_annotations=LINKERD)
    record = ClusterRecord(1, "one", "team", "c", "https://c", 1, "", before.model_dump(mode="json"))
    store.write("cluster.json", record.to_json())
    found = Found(before.path, store)
    assert resumed_spec(found, (), pod_labels=None).pod_labels == ISTIO
    after = resumed_spec(found, (), pod_labels={"a": "b"}, pod_annotations={"linkerd.io/inject": "enabled"})
    assert after.pod_labels == {**ISTIO, "a": "b"}
    assert after.pod_annotations == {"linkerd.io/inject": "enabled"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pod_labels": {"a b": "c"}}, ["pod_labels is 'a b'", "letters, digits"]),
        ({"pod_labels": {"": "c"}}, ["pod_labels is ''"]),
        ({"pod_labels": {"Istio.io/a": "c"}}, ["pod_labels is 'Istio.io/a'"]),
        ({"pod_labels": {"a/b/c": "c"}}, ["pod_labels is 'a/b/c'"]),
        ({"pod_labels": {"a" * 64: "c"}}, ["at most 63"]),
        ({"pod_labels": {f"{'a' * 254}/b": "c"}}, ["pod_labels is"]),
        ({"pod_labels": {"a": "b/c"}}, ["pod_labels.a is 'b/c'", "at most 63"]),
        ({"pod_labels": {"a": "b" * 64}}, ["pod_labels.a is"]),
        ({"pod_labels": {"a": "-"}}, ["pod_labels.a is '-'", "at both ends"]),
        ({"pod_labels": {"app.kubernetes.io/instance": "b"}}, ["whose a pod is"]),
        ({"pod_labels": {"gantry/schedule": "b"}}, ["whose a pod is"]),
        ({"pod_labels": {"batch.kubernetes.io/job-name": "b"}}, ["whose a pod is"]),
        ({"pod_labels": {"job-name": "b"}}, ["whose a pod is"]),
        ({"pod_annotations": {"gantry/root": "gs://b"}}, ["pod_annotations is 'gantry/root'"]),
        ({"pod_annotations": {"Gantry/root": "gs://b"}}, ["whose a pod is"]),
        ({"pod_annotations": {"batch.kubernetes.io/job-completion-index": "1"}}, ["whose a pod is"]),
        ({"pod_annotations": {"a": "b\0c"}}, ["pod_annotations is 'a'", "UTF-8"]),
        ({"pod_annotations": {"a": "\udcff"}}, ["pod_annotations is 'a'", "UTF-8"]),
        ({"pod_annotations": {"a": "https://me:pw@host/"}}, ["pod_annotations is 'a'", "nothing secret"]),
        ({"pod_annotations": {"a": "ä" * 140_000}}, ["pod_annotations has 280001 bytes", "262144"]),
        ({"env": {"A": "\udcff"}}, ["env is 'A'", "UTF-8"]),
    ],
)  # fmt: skip
def test_what_a_cluster_would_refuse_or_a_run_says_itself(values, words):
    with pytest.raises(SpecError) as failure:
        spec(**values)
    text = str(failure.value)
    assert "\n" not in text
    assert "pw@host" not in text
    assert all(word in text for word in words), text


def test_a_local_run_has_no_pods():
    with pytest.raises(SpecError, match="pod_labels is 'a': expected none, as backend is local"):
        make_spec("mlp", (), "one", pod_labels={"a": "b"})


def test_the_command_line_takes_and_refuses_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    place = ["--preset", "mlp", "--name", "one", "--image", "a/b:1", "--root", "gs://bucket/x"]
    words = ["--pod-label", "sidecar.istio.io/inject=false", "--pod-annotation", "linkerd.io/inject=disabled"]
    with pytest.raises(SystemExit) as leaving:
        main(["render", *place, *words])
    assert not leaving.value.code
    assert "        sidecar.istio.io/inject: 'false'\n" in capsys.readouterr().out
    with pytest.raises(SystemExit) as leaving:
        main(["render", *place, "--pod-label", "inject"])
    assert leaving.value.code == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "", "error: --pod-label inject: expected key=value, such as sidecar.istio.io/inject=false\n"
    )  # fmt: skip


# As apimachinery's validation has them, in one expression each.
_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
keys = st.text(string.ascii_letters + "0./-_ ä\n", max_size=70)


@example("a/b", "c\n", False)
@example("a\n", "c", True)
@given(key=keys, value=st.text(string.ascii_letters + "0./-_ ä\n", max_size=70), label=st.booleans())
def test_what_is_let_through_is_what_kubernetes_lets_through_and_never_touches_whose_a_pod_is(
    key, value, label
):
    field = "pod_labels" if label else "pod_annotations"
    given = {key: value}
    try:
        check_pod_metadata(given if label else {}, {} if label else given)
    except SpecError as error:
        assert "\n" not in str(error)
        return
    assert _KEY.fullmatch(key if label else key.lower())
    assert not label or re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", value)
    job = render(spec(**{field: given}))[0]
    pod = {"metadata": {**template(job), "name": "one-0-abcde"}}
    assert belongs(pod, spec().path)
    assert run_of(pod) == spec().path
