"""What a run may be asked for: every refusal in one line; names, images and quantities of Kubernetes."""

import string
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from launcher.render import job_name
from launcher.runs.recorded import merge
from launcher.spec.next_commands import command_line
from launcher.spec.runspec import RunSpec, default_name, make_spec
from launcher.spec.validation import name_limit, quantity
from trainer.errors import UserError
from trainer.run.layout import RunPath, run_path

CLUSTER = {"root": "gs://bucket/gan", "image": "registry/gantry:0.1.0"}
DIGEST = "sha256:" + "0" * 64


def test_a_spec_resolves_its_configuration():
    spec = make_spec("mlp", ["steps=7", "batch_size=16"], "one", workers=2)
    assert (spec.config().steps, spec.config().batch_size) == (7, 16)
    assert spec.path == RunPath("runs", "gan", "one")


@pytest.mark.parametrize("preset", ["mlp", "Odd_preset.1", "x" * 80])
def test_default_names_are_labels_with_preset_and_day(preset):
    names = {default_name(preset, date(2026, 1, 2)) for _ in range(20)}
    assert len(names) > 1
    for name in names:
        run_path("runs", "gan", name)
        assert "-20260102-" in name
        assert name[:3].lower() == preset[:3].lower()


@given(preset=st.text(min_size=1), workers=st.integers(1, 100_000))
def test_a_default_name_makes_host_names_of_63_characters_at_most(preset, workers):
    name = default_name(preset, date(2026, 1, 2), name_limit(workers))
    last = f"{job_name(name, 99)}-{workers - 1}"
    assert len(last) <= 63
    assert last[0] in string.ascii_lowercase
    assert set(last) <= set(string.ascii_lowercase + string.digits + "-")


def refused(**values):
    with pytest.raises(UserError) as caught:
        make_spec(**{"preset": "mlp", "name": "one", **values})
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"preset": "nope"}, ["preset 'nope'", "presets are"]),
        ({"overrides": ["stps=3"]}, ["stps", "did you mean 'steps'"]),
        ({"overrides": ["steps=0"]}, ["steps is 0", "greater than or equal to 1"]),
        ({"workers": 0}, ["workers is 0", "expected", "1"]),
        ({"workers": 3}, ["batch_size is 64", "3 workers", "63 or 66"]),
        ({"workers": 100}, ["batch_size is 64", "such as 100"]),
        ({"threads": 0}, ["threads is 0", "expected"]),
        ({"name": "Not_a_label"}, ["run 'Not_a_label'", "expected lower case"]),
        ({"experiment": "a/b"}, ["experiment 'a/b'", "expected lower case"]),
        ({"root": ""}, ["root is ''", "at least 1 character"]),
        ({"backend": "moon"}, ["backend is 'moon'", "'local'"]),
        ({"colour": 1}, ["colour is 1"]),
        ({"gpus": 1}, ["gpus is '1'", "backend is local"]),
        ({"profiles": ["spot"]}, ["profiles is 'spot'", "backend is local"]),
        ({"env": {"A": "1"}}, ["env is 'A'", "backend is local"]),
        ({"context": "kind"}, ["context is 'kind'", "backend is local"]),
        ({"root": "gs://bucket/gan", "backend": "local"}, ["root is 'gs://bucket/gan'", "a folder"]),
    ],
)
def test_a_wrong_value_is_named_in_one_line(values, words):
    text = refused(**values)
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image": None}, ["image is not given", "NAME:TAG", "gs://bucket/gan"]),
        ({"image": None, "root": "runs", "backend": "kubernetes"}, ["image is not given", "kubernetes"]),
        ({"image": "gantry"}, ["image is 'gantry'", "a tag or a digest", "gantry:0.1.0"]),
        ({"image": "host:5000/gantry"}, ["a tag or a digest"]),
        ({"image": "gantry:latest"}, ["a tag other than latest"]),
        ({"image": "Gantry:1"}, ["image is 'Gantry:1'", "NAME:TAG"]),
        ({"image": "gantry:1 "}, ["NAME:TAG"]),
        ({"image": "gantry@sha256:12"}, ["NAME@sha256"]),
        ({"root": "runs"}, ["root is 'runs'", "pods cannot reach", "--backend local"]),
        ({"root": "/data/runs"}, ["root is '/data/runs'", "pods cannot reach"]),
        ({"root": "gs://"}, ["root is 'gs://'", "gs://<bucket>"]),
        ({"root": "gs://ab/x"}, ["bucket of 3 or more"]),
        ({"name": "1st"}, ["name is '1st'", "a letter at its beginning"]),
        ({"name": "a" * 60}, ["has 60 characters", "at most 57"]),
        ({"name": "a" * 57, "workers": 16}, ["has 57 characters", "at most 56", "'-15' of workers"]),
        ({"workers": 0}, ["workers is 0"]),
        ({"workers": 2, "gpus": 3}, ["batch_size is 64", "2 workers with 3 GPUs each", "60 or 66"]),
        ({"gpus": -1}, ["gpus is -1", "greater than or equal to 0"]),
        ({"backoff_limit": -1}, ["backoff_limit is -1"]),
        ({"ttl_seconds_after_finished": -1}, ["ttl_seconds_after_finished is -1"]),
        ({"active_deadline_seconds": 0}, ["active_deadline_seconds is 0"]),
        ({"grace_seconds": -5}, ["grace_seconds is -5"]),
        ({"cpu": "4Gi"}, ["cpu is '4Gi'", "500m"]),
        ({"cpu": "0"}, ["cpu is '0'", "cores"]),
        ({"cpu": "-1"}, ["cpu is '-1'"]),
        ({"memory": "8 GB"}, ["memory is '8 GB'", "8Gi"]),
        ({"memory": "8"}, ["memory is '8'", "no unit means bytes"]),
        ({"memory": "8GB"}, ["memory is '8GB'"]),
        ({"memory": "-8Gi"}, ["memory is '-8Gi'"]),
        ({"profiles": ["spto"]}, ["unknown profile 'spto'", "did you mean 'spot'", "network-policy"]),
        ({"profiles": ["workload-identity"]}, ["google_service_account"]),
        ({"google_service_account": "me"}, ["google_service_account is 'me'", ".gserviceaccount.com"]),
        (
            {"google_service_account": "a@b.iam.gserviceaccount.com", "service_account": "own"},
            ["service_account is 'own'", "workload-identity"],
        ),
        ({"service_account": "Own"}, ["service_account is 'Own'", "lower case"]),
        ({"namespace": "a.b"}, ["namespace is 'a.b'", "lower case"]),
        ({"queue": "a_b"}, ["queue is 'a_b'", "lower case"]),
        ({"env": {"1A": "x"}}, ["env is '1A'", "begin with no digit"]),
        ({"env": {"A-B": "x"}}, ["env is 'A-B'"]),
        ({"env": {"GANTRY_JOB": "x"}}, ["env is 'GANTRY_JOB'", "who a worker is"]),
        ({"env": {"TF_CONFIG": "x"}}, ["env is 'TF_CONFIG'"]),
        ({"env": {"GANTRY_GRACE_SECONDS": "5"}}, ["env is 'GANTRY_GRACE_SECONDS'", "--grace"]),
        ({"image_pull_policy": "Often"}, ["image_pull_policy is 'Often'", "'Always'"]),
        ({"manifests": "/nowhere"}, ["manifests is '/nowhere'", "kustomization.yaml"]),
    ],
)
def test_what_a_cluster_would_refuse_is_named_in_one_line(values, words):
    text = refused(**{**CLUSTER, **values})
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    "image",
    [
        "gantry:1",
        "host:5000/a/b_c/gantry:0.1.0-rc.1",
        "europe-docker.pkg.dev/p/r/gantry:v1_2",
        f"gantry@{DIGEST}",
        f"localhost/gantry:latest@{DIGEST}",
    ],
)
def test_images_with_a_tag_or_a_digest(image):
    assert make_spec("mlp", (), "one", **{**CLUSTER, "image": image}).image == image


@pytest.mark.parametrize(
    ("values", "backend"),
    [
        ({}, "local"),
        ({"root": "/data"}, "local"),
        (CLUSTER, "kubernetes"),
        ({**CLUSTER, "backend": None}, "kubernetes"),
        ({"root": "runs", "backend": "local"}, "local"),
    ],
)
def test_a_backend_that_is_not_given_follows_from_image_and_root(values, backend):
    assert make_spec("mlp", (), "one", **values).backend == backend


def test_some_values_bring_their_profile_along_and_profiles_are_sorted_sets():
    spec = make_spec(
        "mlp", (), "one", **CLUSTER, gpus=2, queue="q", profiles=["spot", "nccl", "spot"],
        google_service_account="a@b.iam.gserviceaccount.com",
    )  # fmt: skip
    assert spec.profiles == ("gpu", "kueue", "nccl", "spot", "workload-identity")


def test_the_profile_gpu_alone_is_one_gpu():
    spec = make_spec("mlp", (), "one", **CLUSTER, profiles=["gpu"])
    assert (spec.gpus, spec.profiles) == (1, ("gpu",))


@pytest.mark.parametrize(
    ("cpu", "threads", "expected"),
    [
        (None, None, None),
        ("4", None, 4),
        ("500m", None, 1),
        ("2500m", None, 3),
        ("1.5", None, 2),
        ("4", 2, 2),
    ],
)
def test_threads_of_a_pod_are_those_it_asks_for(cpu, threads, expected):
    assert make_spec("mlp", (), "one", **CLUSTER, cpu=cpu, threads=threads).pod_threads == expected


def test_a_spec_survives_its_record():
    spec = make_spec(
        "mlp", ["steps=3"], "one", **CLUSTER, workers=4, gpus=1, profiles=["spot"], env={"A": "1"}, cpu="2"
    )
    assert RunSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec


@given(
    number=st.decimals(0, 10_000, places=2),
    unit=st.sampled_from(["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3"]),
)
def test_quantities_are_read_as_the_cluster_reads_them(number, unit):
    text = f"{number}{unit}"
    if unit == "e3":
        assert quantity(text) == number * 1000
    else:
        assert quantity(text) == Decimal(parse_quantity(text))


@given(text=st.text(alphabet="0123456789.mkMGi-+e ", max_size=6))
def test_what_is_no_quantity_is_none_and_never_an_error(text):
    amount = quantity(text)
    assert amount is None or amount >= 0


def test_merged_overrides_hold_each_key_once():
    assert merge(("steps=1", "seed=2"), ("steps=3",)) == ("steps=3", "seed=2")


def test_a_hint_can_be_pasted(desk, monkeypatch):
    monkeypatch.setenv("GANTRY_ROOT", "/data/")
    assert command_line("resume", RunPath("/data", "gan", "one")) == "launcher resume gan/one"
    assert (
        command_line("logs", RunPath("my runs", "dc", "one"), "-f")
        == "launcher logs dc/one -f --root 'my runs'"
    )


def test_a_hint_leaves_out_the_root_that_a_file_gives(desk):
    (desk / "gantry.yaml").write_text("root: gs://bucket/gan\n")
    assert command_line("resume", RunPath("gs://bucket/gan", "gan", "one")) == "launcher resume gan/one"
    (desk / "gantry.yaml").write_text("rot: gs://bucket/gan\n")
    assert command_line("resume", RunPath("runs", "gan", "one")) == "launcher resume gan/one"
