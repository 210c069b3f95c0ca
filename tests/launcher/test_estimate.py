"""What a run will take: as the command says it, and whether it fits quotas and nodes, given as objects."""

import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.capacity.fitting import Nodes, fit_in_quota, fit_on_nodes
from launcher.backends.kubernetes.capacity.nodes import fits, gpus
from launcher.backends.kubernetes.capacity.requests import requests_of, shortages, shown
from launcher.commands.estimated import estimate_lines
from launcher.diagnosis.estimate import bucket_growth, estimate
from launcher.render import render
from launcher.spec.runspec import make_spec
from trainer.config import resolve
from trainer.networks.sizes import sizes
from trainer.pictures.grid import encode_png, tile
from trainer.run import index
from trainer.storage import open_store


def spec(preset="mlp", overrides=(), **values):
    given = {"root": "gs://bucket/gan", "image": "registry/gantry:0.1.0", "namespace": "gan", **values}
    return make_spec(preset, overrides, "one", **given)


def node(name="a", cpu="4", memory="16Gi", labels=None, taints=(), **more):
    """A node as the API server shows it; `more` are further amounts."""
    room = {
        "cpu": cpu,
        "memory": memory,
        "pods": "110",
        "ephemeral-storage": "90Gi",
        **{key.replace("__", "/"): v for key, v in more.items()},
    }
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": list(taints)},
        "status": {"allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def pod(on, cpu="1", memory="1Gi", phase="Running"):
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    return {"spec": {"nodeName": on, "containers": [{"resources": resources}]}, "status": {"phase": phase}}


def quota(hard, used=None, **more):
    used = used or dict.fromkeys(hard, "0")
    return {
        "metadata": {"name": "team"},
        "spec": {"hard": hard, **more},
        "status": {"hard": hard, "used": used},
    }


def worker(**values):
    return render(spec(**values))[0]["spec"]["template"]["spec"]


def test_the_command_says_what_a_local_run_takes_and_starts_nothing(launcher, desk):
    done = launcher("submit", "--preset", "demo", "--workers", "2", "--estimate", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["backend"], found["pods"], found["cpu"]) == ("local", 2, None)
    assert found["checkpoint_bytes"] == sizes(resolve("demo")).checkpoint_bytes
    assert found["worker_memory_total_bytes"] == sum(found["worker_memory_bytes"].values())
    assert [each["where"] for each in found["fits"]] == ["this machine"]
    took = found["duration"]
    assert (took["images"], took["steps"], took["run"]) == (204_800, 3200, None)
    assert took["seconds"] == pytest.approx(204.8 * took["seconds_per_1000_images"], rel=0.01)
    assert [*found["proposed"]] == ["evaluation.every_steps"]  # it has R1 and the average
    text = launcher("submit", "--preset", "demo", "--workers", "2", "--estimate").stdout
    assert "2 processes" in text
    assert "204,800 images in 3,200 steps" in text and "s for 1,000 images, estimated, for " in text
    text = launcher("submit", "--preset", "mlp", "--estimate").stdout
    assert "--set averaging.half_life_images=20000" in text
    assert not (desk / "runs").exists()


def test_a_cluster_that_cannot_be_asked_is_said_so_and_no_error(launcher, desk):
    where = ["--image", "a/b:1", "--root", "runs", "--backend", "kubernetes", "--root", "gs://bucket/x"]
    done = launcher(
        "submit", "--preset", "mlp", *where, "--estimate", "-o", "json",
        env={"PATH": "/usr/bin", "HOME": str(desk), "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [each["fits"] for each in found["fits"]] == [None, None]
    assert found["memory_bytes"] == found["memory_limit_bytes"] == 2 * 2**30


def test_what_is_asked_for_is_what_is_rendered():
    found = estimate(spec(workers=4, cpu="1500m", memory="8Gi", gpus=2), api=Refusing())
    assert (found.pods, found.gpus, found.cpu) == (4, 8, 6.0)
    assert (found.memory_bytes, found.memory_limit_bytes) == (4 * 8 * 2**30, 8 * 2**30)
    assert found.gpu_memory_bytes > 0
    assert "weights" not in found.worker_memory_bytes


class Refusing:
    """A cluster that may be asked nothing."""

    namespace = "gan"

    def list(self, kind):
        from launcher.errors import Forbidden

        raise Forbidden(f"user 'me' may not list {kind}; docs/launcher-role.yaml grants it")


def test_too_little_memory_is_warned_of_with_the_number_to_ask_for():
    found = estimate(spec(memory="512Mi"), api=Refusing())
    [warning] = [text for text in found.warnings if "--memory" in text]
    asked = int(warning.rpartition("--memory ")[2].removesuffix("Mi"))
    assert found.worker_memory_total_bytes <= asked * 2**20 < found.worker_memory_total_bytes + 257 * 2**20
    assert not any(
        "--memory" in text for text in estimate(spec(memory=f"{asked}Mi"), api=Refusing()).warnings
    )


def test_what_may_not_be_asked_is_said_with_the_role_that_grants_it():
    by_place = {each.where: each for each in estimate(spec(), api=Refusing()).fits}
    assert by_place["quota"].fits is by_place["nodes"].fits is None
    assert "launcher-role.yaml" in by_place["quota"].text
    assert "launcher-cluster-role.yaml" in by_place["nodes"].text


@given(st.integers(1, 400), st.integers(1, 90), st.integers(1, 6), st.integers(0, 60))
def test_growth_counts_the_checkpoints_that_are_kept(steps, every, keep, keep_every):
    rules = {"every_steps": every, "keep": keep, "keep_every": keep_every}
    overrides = [f"steps={steps}", *(f"checkpoints.{key}={value}" for key, value in rules.items())]
    config = resolve("mlp", overrides)
    found = sizes(config)
    # As the trainer goes: it saves, and then removes what it need not keep.
    kept = []
    for step in range(1, steps + 1):
        if step % every == 0 or step == steps:
            kept.append(step)
            kept = [s for s in kept if s in kept[-keep:] or (keep_every and s % keep_every == 0)]
    assert bucket_growth(config, found, 1)["checkpoints"] == len(kept) * found.checkpoint_bytes


@pytest.mark.parametrize("channels", [1, 3])
def test_grids_take_no_more_than_is_said(channels):
    config = resolve("mlp", ["steps=200", "samples.every_steps=100", f"image.channels={channels}"])
    shape, rows, columns = config.image.shape, config.samples.rows, config.samples.columns
    noise = np.random.default_rng(1).integers(0, 256, (rows * columns, *shape), np.uint8)
    grid = tile(noise, rows, columns)
    # Before the first step, after 100 and 200, and of real images.
    assert 4 * len(encode_png(grid)) <= bucket_growth(config, sizes(config), 1)["samples"]


def test_a_duration_is_that_of_a_run_like_it(tmp_path):
    store = open_store(str(tmp_path / "gan"))
    common = {"state": "finished", "step": 1000, "steps": 1000, "created": "2026-01-01T00:00:00+00:00"}
    for name, ended, more in (
        ("old", "2026-01-01T01:00:00+00:00", {}),
        ("new", "2026-01-02T00:00:00+00:00", {"created": "2026-01-01T23:50:00+00:00"}),
        ("wide", "2026-01-03T00:00:00+00:00", {"world_size": 2}),
        ("cut", "2026-01-03T00:00:00+00:00", {"state": "stopped"}),
    ):
        index.update(store, index.Entry(run=name, preset="mlp", ended=ended, **{**common, **more}))
        begun(tmp_path, name, resolve("mlp", ["steps=1000"]))
    asked = make_spec("mlp", ["steps=3000", "seed=4"], "next", root=str(tmp_path))
    found = estimate(asked).duration
    assert (found.seconds, found.run, found.images, found.steps) == (1800.0, "new", 192_000, 3000)
    assert found.seconds_per_1000_images == 9.38
    assert estimate(make_spec("dcgan", [], "next", root=str(tmp_path))).duration.run is None


def begun(root, name, config):
    """The record of a run."""
    record = {"format": 1, "config": config.model_dump(mode="json")}
    open_store(str(root / "gan" / name)).write("run.json", json.dumps(record).encode())


def test_a_run_that_did_other_work_is_no_measure(tmp_path):
    store = open_store(str(tmp_path / "gan"))
    times = {"created": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T01:00:00+00:00"}
    for name, override in (("penalty", "regularizers.r1.weight=1"), ("twice", "batch_size=128")):
        entry = index.Entry(run=name, preset="mlp", state="finished", step=1000, steps=1000, **times)
        index.update(store, entry)
        begun(tmp_path, name, resolve("mlp", [override]))
    index.update(store, entry.model_copy(update={"run": "gone"}))

    def run_of(*overrides):
        return estimate(make_spec("mlp", overrides, "next", root=str(tmp_path))).duration.run

    assert (run_of(), run_of("batch_size=128"), run_of("batch_size=32")) == (None, "twice", None)
    assert run_of("regularizers.r1.weight=1") == "penalty"


def test_nothing_is_said_of_a_gpu_that_no_run_has_shown(tmp_path):
    found = estimate(spec(gpus=1), api=Refusing())
    assert found.duration is None
    assert any("not known: no GPU was timed" in line for line in estimate_lines(found))


def test_requests_of_a_pod_count_limits_sidecars_and_init_containers():
    def container(**requests):
        return {"resources": {"requests": requests}}

    found = requests_of(
        {
            "containers": [container(cpu="1", memory="1Gi"), {"resources": {"limits": {"cpu": "500m"}}}, {}],
            "initContainers": [container(cpu="4"), {**container(memory="1Gi"), "restartPolicy": "Always"}],
            "overhead": {"cpu": "250m"},
        }
    )
    assert found == {"cpu": Decimal("4.25"), "memory": Decimal(2 * 2**30)}


def test_quotas():
    manifests = render(spec(workers=4, memory="2Gi", cpu="1"))
    assert shortages([], manifests) == []
    assert (
        shortages([quota({"requests.memory": "8Gi", "pods": "4", "count/jobs.batch": "1"})], manifests) == []
    )
    [lack] = shortages([quota({"requests.memory": "8Gi"}, {"requests.memory": "1Mi"})], manifests)
    assert (lack.resource, lack.never) == ("requests.memory", False)
    [lack] = shortages([quota({"pods": "3"})], manifests)
    assert lack.never
    [lack] = shortages([quota({"limits.cpu": "100"})], manifests)  # our pods have no limit on CPU
    assert (lack.asked, lack.never) == (None, True)
    assert "limits.cpu" in str(lack)
    assert shortages([quota({"pods": "0"}, scopes=["BestEffort"])], manifests) == []
    assert shortages([quota({"pods": "0"}, scopes=["NotTerminating"])], manifests) != []
    assert fit_in_quota([quota({"pods": "3"})], "gan", manifests, spec(workers=4)).fits is False
    assert fit_in_quota([quota({"pods": "4"})], "gan", manifests, spec(workers=4)).fits is True


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"memory": "1Gi"}, "memory"),
        ({"cpu": "100m"}, "cpu"),
        ({"ephemeral-storage": "2Gi"}, "has 2Gi of ephemeral-storage, a worker asks for 2.25Gi"),
        (
            {"ephemeral-storage": "0"},
            "measures no disk, of which a worker requests 2.25Gi (--profile no-disk-request)",
        ),
        ({"taints": [{"key": "spot", "effect": "NoSchedule"}]}, "taint spot"),
        ({"taints": [{"key": "spot", "effect": "PreferNoSchedule"}]}, ""),
    ],
)
def test_a_node_takes_a_worker_or_says_why_not(changes, reason):
    [found] = fits([node(**changes)], worker(memory="2Gi", cpu="1"), None)
    assert (reason in found.reason) if reason else not found.reason
    assert (found.workers > 0) == (not reason)


def test_selectors_and_affinity_choose_nodes():
    wanted = worker(memory="2Gi")
    wanted["nodeSelector"] = {"disk": "fast"}
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}]
    wanted["affinity"] = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    }
    nodes = [
        node("none"),
        node("half", labels={"disk": "fast"}),
        node("other", labels={"disk": "fast", "zone": "c"}),
        node("good", labels={"disk": "fast", "zone": "b"}),
    ]
    assert [each.node for each in fits(nodes, wanted, None) if not each.reason] == ["good"]


def test_a_gpu_worker_fits_on_tainted_gpu_nodes_only():
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    product = {"nvidia.com/gpu.product": "NVIDIA-L4"}
    nodes = [node("plain"), node("gpu", labels=product, taints=[taint], nvidia_com__gpu="4")]
    nodes[1]["status"]["allocatable"]["nvidia.com/gpu"] = "4"
    found = fits(nodes, worker(gpus=2, memory="4Gi"), [])
    assert [(each.node, each.workers) for each in found if not each.reason] == [("gpu", 2)]
    assert gpus(nodes) == {"NVIDIA-L4": 4}


def test_what_runs_on_a_node_takes_room_until_it_has_ended():
    pods = [pod("a", cpu="2"), pod("a", cpu="1", phase="Succeeded"), pod("elsewhere", cpu="4")]
    manifests = render(spec(workers=2, cpu="1", memory="1Gi"))
    [found] = fits([node("a", cpu="4")], manifests[0]["spec"]["template"]["spec"], pods)
    assert (found.workers, found.workers_now) == (4, 2)
    assert fit_on_nodes(Nodes([node("a", cpu="4")], pods, ""), manifests).fits is True
    assert fit_on_nodes(Nodes([node("a", cpu="3")], pods, ""), manifests).fits is False
    assert fit_on_nodes(Nodes([node("a", cpu="3")], None, "the user may not"), manifests).fits is True
    nowhere = fit_on_nodes(Nodes([node("a", cpu="500m")], [], ""), manifests)
    assert nowhere.fits is False
    assert "a has 0.5 of cpu" in nowhere.text


def test_amounts_for_people():
    assert shown("requests.memory", Decimal(3 * 2**29)) == "1.5Gi"
    assert shown("cpu", Decimal("0.500")) == "0.5"
    assert shown("pods", Decimal(110)) == "110"
