"""A run's values in the manifests, and a ``k8s/`` that somebody edited."""

import json
import re
import shutil

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from launcher.cli import main
from launcher.render import job_name, render, to_yaml
from launcher.render.manifests import literal
from launcher.spec import templates
from launcher.spec.footprint import scratch_mib
from launcher.spec.runspec import make_spec
from trainer.config import resolve
from trainer.errors import UserError
from trainer.networks.sizes import sizes


def spec(overrides=(), **values):
    given = {"root": "gs://bucket/gan", "image": "registry/gantry:0.1.0", "namespace": "gan", "workers": 4}
    return make_spec("mlp", overrides, "one", **{**given, **values})


def rendered(attempt=1, **values):
    """The manifests by kind; of each kind there is one."""
    found = render(spec(**values), attempt)
    assert found[0]["kind"] == "Job"
    return {manifest["kind"]: manifest for manifest in found}


def container(job):
    [trainer] = job["spec"]["template"]["spec"]["containers"]
    return trainer


def environment(job):
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(job)["env"]}


def test_the_job_has_the_run_s_values_and_waits():
    job = rendered(
        workers=8, backoff_limit=7, ttl_seconds_after_finished=60, active_deadline_seconds=600,
        grace_seconds=30, image_pull_policy="Never", cpu="1500m", memory="4Gi", service_account="own",
    )["Job"]  # fmt: skip
    wanted = {
        "suspend": True, "completionMode": "Indexed", "completions": 8, "parallelism": 8, "backoffLimit": 7,
        "ttlSecondsAfterFinished": 60, "activeDeadlineSeconds": 600, "podReplacementPolicy": "Failed",
    }  # fmt: skip
    assert {key: job["spec"][key] for key in wanted} == wanted
    pod = job["spec"]["template"]["spec"]
    assert (pod["terminationGracePeriodSeconds"], pod["serviceAccountName"]) == (30, "own")
    assert environment(job)["GANTRY_GRACE_SECONDS"] == "30"
    trainer = container(job)
    assert (trainer["image"], trainer["imagePullPolicy"]) == ("registry/gantry:0.1.0", "Never")
    assert trainer["resources"] == {
        "requests": {"cpu": "1500m", "memory": "4Gi", "ephemeral-storage": "2304Mi"},
        "limits": {"memory": "4Gi"},
    }
    assert trainer["args"][-2:] == ["--threads", "2"]


def test_the_trainer_is_told_the_run_and_who_it_is():
    job = rendered(overrides=["steps=5", "xla=off"], experiment="digits", attempt=2)["Job"]
    assert container(job)["args"] == [
        "worker", "--preset", "mlp", "--root", "gs://bucket/gan", "--experiment", "digits", "--run", "one",
        "--set", "steps=5", "--set", "xla=off",
    ]  # fmt: skip
    told = environment(job)
    assert told["GANTRY_JOB"] == {
        "fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}
    }
    assert told["GANTRY_POD"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    plain = ("SERVICE", "WORKERS", "ATTEMPT", "PORT", "PEER_SECONDS", "GRACE_SECONDS")
    assert [told[f"GANTRY_{key}"] for key in plain] == ["one-r2", "4", "2", "2222", "600", "60"]


@pytest.mark.parametrize(("attempt", "name"), [(1, "one"), (2, "one-r2"), (99, "one-r99")])
def test_everything_of_an_attempt_carries_its_name_and_chooses_its_pods_alone(attempt, name):
    assert job_name("one", attempt) == name
    found = rendered(
        attempt,
        profiles=["spot", "network-policy"],
        google_service_account="a@b.iam.gserviceaccount.com",
        experiment="digits",
    )
    labels = {
        "app.kubernetes.io/name": "gantry",
        "app.kubernetes.io/instance": "one",
        "app.kubernetes.io/component": "trainer",
        "app.kubernetes.io/part-of": "digits",
        "app.kubernetes.io/managed-by": "gantry",
        "gantry/attempt": str(attempt),
    }
    chosen = {key: labels[key] for key in (*list(labels)[:2], "gantry/attempt")}
    chosen["batch.kubernetes.io/job-name"] = name  # no label says which root or experiment
    assert set(found) == {"Job", "Service", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"}
    for manifest in found.values():
        assert manifest["metadata"]["name"] == name
        assert manifest["metadata"]["namespace"] == "gan"
        assert labels.items() <= manifest["metadata"]["labels"].items()
    pods = found["Job"]["spec"]["template"]
    assert labels.items() <= pods["metadata"]["labels"].items()
    for metadata in (found["Job"]["metadata"], pods["metadata"]):
        assert metadata["annotations"]["gantry/root"] == "gs://bucket/gan"
    assert (pods["spec"]["subdomain"], pods["spec"]["serviceAccountName"]) == (name, name)
    assert found["Service"]["spec"]["selector"] == chosen
    assert (
        found["ServiceAccount"]["metadata"]["annotations"]["iam.gke.io/gcp-service-account"]
        == "a@b.iam.gserviceaccount.com"
    )
    text = to_yaml(list(found.values()))
    assert "demo" not in text
    selectors = list(_selectors(list(found.values())))
    assert len(selectors) == 5  # spread, policy, who may come in, who may be gone to, budget
    assert all(selector == chosen for selector in selectors)


def _selectors(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "matchLabels":
                yield value
            else:
                yield from _selectors(value)
    elif isinstance(node, list):
        for value in node:
            yield from _selectors(value)


@pytest.mark.parametrize(
    ("values", "gpus"), [({"gpus": 2}, 2), ({"profiles": ["gpu"]}, 1), ({}, None), ({"gpus": 0}, None)]
)
def test_gpus_bring_their_toleration(values, gpus):
    job = rendered(**values)["Job"]
    assert container(job)["resources"]["limits"].get("nvidia.com/gpu") == gpus
    keys = [toleration["key"] for toleration in job["spec"]["template"]["spec"]["tolerations"]]
    assert ("nvidia.com/gpu" in keys) is (gpus is not None)


def scratch(job):
    return next(each for each in job["spec"]["template"]["spec"]["volumes"] if each["name"] == "tmp")[
        "emptyDir"
    ]


def disk(job):
    """What is requested of a node's disk."""
    return container(job)["resources"]["requests"].get("ephemeral-storage")


def test_the_disk_for_temporary_files_is_bounded_with_room_for_the_checkpoints():
    assert scratch(rendered()["Job"]) == {"sizeLimit": "2304Mi"}
    assert disk(rendered()["Job"]) == "2304Mi"
    wide = ("network.generator_units=[8192,8192]", "network.discriminator_units=[8192,8192]")
    config = resolve("mlp", wide)
    job = render(make_spec("mlp", wide, "one", root="gs://bucket/gan", image="i:1", workers=2))[0]
    given = scratch(job)
    assert disk(job) == given["sizeLimit"] != "2304Mi"
    assert set(container(job)["resources"]["limits"]) == {"memory"}  # one on the disk would count logs too
    mebibytes = int(given["sizeLimit"].removesuffix("Mi"))
    assert mebibytes == scratch_mib(config) and mebibytes % 256 == 0
    assert mebibytes << 20 >= (2 << 30) + 4 * sizes(config).checkpoint_bytes


@pytest.mark.parametrize(
    "own", ["{}", "{medium: Memory, sizeLimit: 1Mi}", "{sizeLimit: 9Gi}"], ids=["none", "memory", "larger"]
)
def test_another_bound_in_a_folder_of_ones_own_stays(tmp_path, own):
    folder = tmp_path / "k8s"
    shutil.copytree(templates.folder(None), folder)
    before = (folder / "job.yaml").read_text()
    after = before.replace("emptyDir:\n          sizeLimit: 2304Mi\n", f"emptyDir: {own}\n", 1)
    assert after != before
    (folder / "job.yaml").write_text(after)
    assert scratch(rendered(manifests=str(folder))["Job"]) == yaml.safe_load(own)


@pytest.mark.parametrize("profiles", [["no-disk-request"], ["kueue"], ["kueue", "no-disk-request"]])
@pytest.mark.parametrize("units", [16, 8192])
def test_where_nodes_measure_no_disk_or_a_queue_has_none_to_give_none_is_requested(units, profiles):
    values = {"root": "gs://bucket/gan", "image": "i:1", "profiles": profiles}
    job = render(make_spec("mlp", [f"network.generator_units=[{units},{units}]"], "one", **values))[0]
    assert set(container(job)["resources"]["requests"]) == {"cpu", "memory"}
    assert "sizeLimit" in scratch(job)


@pytest.mark.parametrize(
    ("own", "then"), [("1Gi", "2304Mi"), ("9Gi", "9Gi"), (None, None)], ids=["less", "more", "none"]
)
def test_a_folder_of_ones_own_requests_what_it_states_or_what_is_needed(tmp_path, own, then):
    folder = tmp_path / "k8s"
    shutil.copytree(templates.folder(None), folder)
    (stated,) = [
        line for line in (folder / "job.yaml").read_text().splitlines() if "ephemeral-storage" in line
    ]
    line = f"            ephemeral-storage: {own}" if own else ""
    (folder / "job.yaml").write_text((folder / "job.yaml").read_text().replace(stated, line))
    assert disk(rendered(manifests=str(folder))["Job"]) == then


def test_memory_that_is_asked_for_wins_over_a_profile_s():
    assert container(rendered(gpus=1)["Job"])["resources"]["limits"]["memory"] == "8Gi"
    assert container(rendered(gpus=1, memory="16Gi")["Job"])["resources"]["limits"]["memory"] == "16Gi"


def test_a_queue_is_named_on_the_job():
    label = "kueue.x-k8s.io/queue-name"
    assert rendered(queue="team")["Job"]["metadata"]["labels"][label] == "team"
    assert rendered(profiles=["kueue"])["Job"]["metadata"]["labels"][label] == "default"
    assert label not in rendered()["Job"]["metadata"]["labels"]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_one_worker_at_a_time_may_be_drained(workers):
    budget = rendered(workers=workers, profiles=["spot"])["PodDisruptionBudget"]
    assert budget["spec"]["minAvailable"] == workers - 1


def test_a_typed_variable_that_the_trainer_has_a_rule_for_is_named_to_it():
    assert "GANTRY_TYPED" not in environment(
        rendered(env={"https_proxy": "http://proxy:1", "LEVEL": "2"})["Job"]
    )
    job = rendered(env={"KERAS_BACKEND": "jax", "LEVEL": "2"}, env_secrets={"MPLBACKEND": "secret/key"})[
        "Job"
    ]
    assert environment(job)["GANTRY_TYPED"] == "KERAS_BACKEND,MPLBACKEND"


def test_the_environment_is_sorted_and_wins_over_a_profile_s():
    job = rendered(profiles=["nccl"], env={"Z": "1", "NCCL_DEBUG": "TRACE", "A": "$(HOME) $$"})["Job"]
    names = [entry["name"] for entry in container(job)["env"]]
    assert len(names) == len(set(names))
    assert names[-3:] == ["A", "NCCL_DEBUG", "Z"]
    assert environment(job)["NCCL_DEBUG"] == "TRACE"
    assert environment(job)["A"] == "$$(HOME) $$$$"


@given(text=st.text(alphabet="$(){}Ab_ \n", max_size=12))
def test_kubernetes_puts_no_variable_in_place_of_what_was_written(text):
    assert expand(literal(text), {"A": "wrong", "b": "wrong", "": "wrong"}) == text


def expand(text, variables):
    """What the kubelet makes of a value (k8s.io/kubernetes/third_party/forked/golang/expansion)."""
    done, position = "", 0
    while position < len(text):
        here = text[position]
        if here == "$" and position + 1 < len(text):
            following = text[position + 1]
            end = text.find(")", position)
            if following == "$":
                done, position = done + "$", position + 2
                continue
            if following == "(" and end >= 0:
                name = text[position + 2 : end]
                done, position = done + variables.get(name, f"$({name})"), end + 1
                continue
        done, position = done + here, position + 1
    return done


def test_the_same_run_has_the_same_bytes():
    first = to_yaml(render(spec(env={"A": "1", "B": "2"}, profiles=["spot", "nccl"])))
    second = to_yaml(render(spec(env={"B": "2", "A": "1"}, profiles=["nccl", "spot", "nccl"])))
    assert first == second


@given(
    text=st.text(max_size=20)
    | st.sampled_from(
        ["1e3", "0o17", "1_000", "y", "N", "off", "null", "~", "1:30", "0x1F", "+.5", "1.", "-"]
    )
)
def test_a_text_stays_a_text(text):
    text = text.replace("\r", "").replace("\x85", "")
    if not text.isprintable():
        return
    written = to_yaml([{"value": text}])
    assert yaml.safe_load(written) == {"value": text}
    plain = re.fullmatch(r"value: ([^'\"|>].*)\n", written)
    if plain:  # left plain, it must be no number or boolean to Go's reader either
        assert not re.fullmatch(
            r"(?i)y|n|yes|no|on|off|true|false|null|~|[-+]?(\d[\d_]*(\.\d*)?|\.\d+)(e[-+]?\d+)?|0[xob][\da-f_]+",
            plain[1],
        )


@pytest.fixture
def edited(tmp_path):
    """A copy of ``k8s/`` in whose files texts are replaced."""

    def edit(name, old, new):
        folder = tmp_path / "k8s"
        shutil.copytree(templates.folder(), folder, dirs_exist_ok=True)
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return str(folder)

    return edit


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("job.yaml", "- name: trainer", "- name: train", ["job.yaml", "containers[name=trainer]"]),
        ("job.yaml", "image: gantry:0.1.0", "tty: false", ["job.yaml", "containers[name=trainer].image"]),
        ("job.yaml", "  backoffLimit: 3\n", "", ["job.yaml: the Job has no spec.backoffLimit"]),
        ("job.yaml", "  suspend: false\n", "", ["spec.suspend"]),
        ("job.yaml", "subdomain: gantry-demo", "hostNetwork: false", ["template.spec.subdomain"]),
        ("job.yaml", "name: GANTRY_WORKERS", "name: WORKERS", ["env[name=GANTRY_WORKERS].value"]),
        ("job.yaml", "name: GANTRY_POD", "name: POD", ["env[name=GANTRY_POD]"]),
        (
            "job.yaml",
            "    gantry/root: /tmp/runs\nspec",
            "    a: b\nspec",
            ['metadata.annotations["gantry/root"]'],
        ),
        (
            "service.yaml",
            "    app.kubernetes.io/instance: gantry-demo\n    gantry/attempt",
            "    gantry/attempt",
            ["service.yaml", 'spec.selector["app.kubernetes.io/instance"]'],
        ),
        ("service.yaml", "  name: gantry-demo", "  name: other", ["metadata.name is 'other'", "gantry-demo"]),
        ("service.yaml", "apiVersion: v1", "", ["service.yaml", "apiVersion and kind"]),
        ("service.yaml", "spec:", "spec: [", ["service.yaml", "not YAML"]),
        ("kustomization.yaml", "- service.yaml", "- gone.yaml", ["gone.yaml", "cannot be read"]),
        ("kustomization.yaml", "- service.yaml", "- components", ["components", "expected a file"]),
        ("kustomization.yaml", "- job.yaml", "", ["expected one Job, found 0"]),
        ("kustomization.yaml", "resources:", "namePrefix: a-\nresources:", ["namePrefix", "resources"]),
        ("kustomization.yaml", "resources:", "resorces:", ["resorces", "did you mean 'resources'"]),
        (
            "components/spot/job.yaml",
            "/spec/template/spec/tolerations/-",
            "/spec/gone/-",
            ["spot/job.yaml", "does not fit the Job", "gone"],
        ),
        (
            "components/spot/kustomization.yaml",
            "- path: job.yaml",
            "- patch: a",
            ["patches", "entries with a path"],
        ),
        ("components/spot/poddisruptionbudget.yaml", "  minAvailable: 1", "  a: 1", ["spec.minAvailable"]),
        ("components/shared-memory/job.yaml", "value: shared-memory", "value: other", ["shared-memory/job"]),
    ],
)
def test_an_edited_folder_that_lacks_something_is_named(edited, name, old, new, words):
    folder = edited(name, old, new)
    with pytest.raises(UserError) as caught:
        render(spec(manifests=folder, profiles=["spot", "shared-memory"]))
    text = str(caught.value)
    assert "\n" not in text
    assert folder in text
    assert all(word in text for word in words), text


def test_what_is_added_to_the_folder_is_kept_and_named_after_the_run(edited, tmp_path):
    folder = edited("kustomization.yaml", "- service.yaml", "- service.yaml\n- more.yaml")
    (tmp_path / "k8s/more.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gantry-demo-more\n  labels: &l\n"
        "    app.kubernetes.io/name: gantry\n    app.kubernetes.io/instance: gantry-demo\n"
        "    app.kubernetes.io/part-of: a\n    app.kubernetes.io/managed-by: a\n    gantry/attempt: '1'\n"
        "data: {A: '1'}\n"
    )
    edited_job = tmp_path / "k8s/job.yaml"
    edited_job.write_text(
        edited_job.read_text().replace(
            "        ports:\n",
            "        envFrom:\n        - configMapRef: {name: gantry-demo-more}\n        ports:\n",
        )
    )
    found = rendered(manifests=folder, attempt=2)
    assert found["ConfigMap"]["metadata"]["name"] == "one-r2-more"
    assert container(found["Job"])["envFrom"] == [{"configMapRef": {"name": "one-r2-more"}}]


def test_a_component_of_the_user_s_own_is_a_profile(edited, tmp_path):
    folder = edited("kustomization.yaml", "- service.yaml", "- service.yaml")
    shutil.copytree(tmp_path / "k8s/components/nccl", tmp_path / "k8s/components/ours")
    assert "NCCL_DEBUG" in environment(rendered(manifests=folder, profiles=["ours"])["Job"])


def test_the_namespace_is_the_context_s_when_none_is_given(desk):
    assert render(spec(namespace=None))[0]["metadata"]["namespace"] == "default"
    (desk.parent / "kubeconfig").write_text(
        "current-context: kind\ncontexts: [{name: kind, context: {cluster: c, namespace: team}}]\n"
    )
    assert {each["metadata"]["namespace"] for each in render(spec(namespace=None))} == {"team"}


def test_a_local_run_has_no_manifests():
    with pytest.raises(UserError, match="backend is local: expected kubernetes"):
        render(make_spec("mlp", (), "one"))


def command(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    out, err = capsys.readouterr()
    return left.value.code, out, err


FLAGS = ("--preset", "mlp", "--name", "one", "--root", "gs://bucket/gan", "--workers", "4", "-n", "gan")
IMAGE = ("--image", "registry/gantry:0.1.0")


def test_render_prints_what_the_library_renders(desk, capsys):
    code, out, err = command(capsys, "render", *FLAGS, *IMAGE)
    assert (code, out, err) == (0, to_yaml(render(spec())), "")
    code, out, err = command(capsys, "render", *FLAGS, *IMAGE, "-o", "json")
    assert (code, json.loads(out)["items"], err) == (0, render(spec()), "")


def test_a_dry_run_of_submit_prints_the_same_and_asks_nobody(desk, capsys):
    code, out, err = command(capsys, "submit", *FLAGS, *IMAGE, "--dry-run", "client")
    assert (code, out) == (0, to_yaml(render(spec())))
    assert "640,000 images in 10,000 steps" in err and "estimated, for 0.5 cores of each worker" in err
    assert command(capsys, "submit", *FLAGS, *IMAGE, "--dry-run", "client", "--quiet") == (0, out, "")
    code, out, err = command(capsys, "submit", "--preset", "mlp", "--dry-run", "server")
    assert (code, out) == (2, "")
    assert "--dry-run server: expected client, as backend is local" in err
    code, out, err = command(capsys, "submit", "--preset", "mlp", "--dry-run", "client", "-o", "json")
    assert (code, err) == (0, "") and json.loads(out)["duration"]["images"] == 640_000
    assert list(desk.iterdir()) == []


@pytest.mark.parametrize("verb", ["render", "submit"])
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "image is not given"),
        ((*IMAGE, "--context", "nope"), "context 'nope'"),
        ((*IMAGE, "--profile", "spto"), "unknown profile 'spto'"),
        ((*IMAGE, "--env", "A"), "--env A: expected key=value"),
        ((*IMAGE, "--manifests", "nowhere"), "manifests is 'nowhere'"),
        ((*IMAGE, "-f", "gone.yaml"), "gone.yaml: cannot be read"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_sent(desk, capsys, verb, flags, words):
    code, out, err = command(capsys, verb, *FLAGS, *flags)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_render_loads_no_client_and_no_tensorflow(desk, launcher):
    code = (
        "import sys\nfrom launcher.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        "    print([m for m in ('kubernetes', 'tensorflow', 'numpy', 'google', 'rich') if m in sys.modules], "
        "file=sys.stderr)"
    )
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code, "render", *FLAGS, *IMAGE], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"
