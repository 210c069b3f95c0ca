"""Everything about one run: what is gathered, what is damaged, what is kept back, and what to type next."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.cli import main
from launcher.looking.show import Setting, show
from launcher.runs import verbs
from launcher.runs.find import Place
from tests.support.runs import run_here
from trainer.config import resolve
from trainer.storage import LocalStore, open_store


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(root, desk, capsys):
    """`launcher show …` in this process."""

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main(["show", *words, "--root", root])
        return Done(left.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def rich_run(past_run):
    """A run with something of everything."""

    def make(name="one", state="finished", **fields):
        folder = past_run(name, state=state)
        store = LocalStore(folder)
        about = json.loads((folder / "run.json").read_text())
        about |= {
            "created": "2026-01-02T03:04:05+00:00",
            "overrides": ["optimizer.beta1=0.9"],
            "seed": 7,
            "versions": {"python": "3.11.7", "tensorflow": "2.21.0"},
            "git_revision": "91a3f7d68bd0b2d7f194cc881ab4384617aeacfd",
            "config": resolve("mlp", ["optimizer.beta1=0.9"]).model_dump(mode="json"),
            **fields,
        }
        store.write("run.json", json.dumps(about).encode())
        lines = [{"step": n, "images": n * 64, "d_loss": 1 / n, "g_loss": n / 10} for n in range(1, 21)]
        store.write("metrics/1.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
        for step in (9, 20, 100):
            store.write(f"samples/{step}.png", b"x" * step)
        store.write("checkpoints/10/state.index", b"x" * 90)
        store.write("checkpoints/10/manifest.json", b"{}" * 5)
        store.write("checkpoints/20/state.index", b"x" * 50)
        store.write("checkpoints/20/manifest.json", b"")  # a claim: it is being written
        store.write("logs/1/worker-0.log", b"a" * 30)
        store.write("logs/2/worker-0.00000.log", b"a" * 40)
        store.write("logs/2/worker-1.00000.log", b"a" * 40)
        store.write("logs/2/worker-1.00001.log", b"a" * 40)
        result = {"state": "finished", "finished": "2026-01-02T04:00:00+00:00", "attempt": {"seconds": 90.0}}
        store.write("result.json", json.dumps(result).encode())
        return store

    return make


RECORD = ClusterRecord(
    attempt=2,
    job="one-r2",
    namespace="team",
    context="kind-test",
    server="https://ada:s3cret-server@127.0.0.1:6443",
    workers=3,
    submitted="2026-01-02T03:04:00+00:00",
    spec={
        "preset": "mlp",
        "name": "one",
        "workers": 3,
        "image": "registry.example/gantry:0.1.0",
        "gpus": 2,
        "queue": None,
        "profiles": ["gpu", "spot"],
        "env": {"LEVEL": "s3cret-value", "TOKENIZER": "s3cret-too"},
    },
)


def test_everything_is_gathered(rich_run, root, desk):
    warm = {"run": "zero", "step": 500, "optimizer": "fresh"}
    store = rich_run(
        warm_start=warm, schedule="nightly", scheduled="2026-01-02T03:00:00+00:00", data="npz:a.npz"
    )
    found = show(Place(root), "one")

    assert (found.status.state, found.status.step, found.status.checkpoint_step) == ("finished", 20, 10)
    assert (found.preset, found.seed, found.overrides) == ("mlp", 7, ["optimizer.beta1=0.9"])
    assert Setting("optimizer.beta1", 0.9, 0.5, 0.5) in found.settings
    assert (found.warm_start, found.schedule, found.data) == (warm, "nightly", "npz:a.npz")
    assert (found.metrics.lines, found.metrics.first_step, found.metrics.last_step) == (20, 1, 20)
    assert found.metrics.figures["g_loss"] == {
        "last": 2.0, "lowest": 0.1, "lowest_step": 1, "highest": 2.0, "highest_step": 20,
    }  # fmt: skip
    stock = found.inventory
    assert [(each.step, each.bytes, each.complete) for each in stock.checkpoints] == [
        (10, 100, True),
        (20, 50, False),
    ]
    assert (stock.samples.count, stock.samples.first_step, stock.samples.last_step) == (3, 9, 100)
    assert [(each.attempt, each.workers, each.bytes) for each in stock.attempts] == [(1, 1, 30), (2, 2, 120)]
    assert stock.objects == len(list(store.list()))
    assert stock.bytes == sum(stat.size for stat in store.list()) == sum(stock.by_kind.values())
    assert found.result["finished"] == "2026-01-02T04:00:00+00:00"
    assert found.damaged == []


def test_settings_are_those_that_differ_from_the_preset_or_the_defaults(rich_run, root, desk):
    config = resolve("demo", ["batch_size=32"]).model_dump(mode="json")
    rich_run(preset="demo", config=config)
    settings = {each.key: each for each in show(Place(root), "one").settings}

    assert settings["batch_size"] == Setting("batch_size", 32, 64, 64)
    assert settings["steps"] == Setting("steps", 3200, 3200, 10000)  # the preset's own
    assert "optimizer.beta1" not in settings


def test_a_preset_that_this_launcher_does_not_know_hides_nothing(rich_run, root, desk):
    rich_run(preset="later")
    settings = {each.key: each for each in show(Place(root), "one").settings}
    assert settings["optimizer.beta1"] == Setting("optimizer.beta1", 0.9, None, 0.5)


DAMAGES = {
    "run.json": "20",
    "status.json": "optimizer.beta1",
    "cluster.json": "optimizer.beta1",
    "local.json": "optimizer.beta1",
    "result.json": "optimizer.beta1",
    "metrics/1.jsonl": "optimizer.beta1",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_told_and_all_else_is_shown(rich_run, call, name):
    store = rich_run()
    store.write(name, b'{"step": 5')

    told = call("one")
    assert told.returncode == 0, told.stderr
    assert f"one/{name}" in told.stdout
    assert DAMAGES[name] in told.stdout
    assert "3 grids, steps 9 to 100" in told.stdout
    assert "launcher" in told.stdout

    found = json.loads(call("one", "-o", "json").stdout)
    store.delete(name)  # the fixture that ends what is left alive reads local.json
    assert [line for line in found["damaged"] if name in line]
    assert (found["metrics"] is None) == (name == "metrics/1.jsonl")
    assert (found["result"] is None) == (name == "result.json")
    if name in ("cluster.json", "local.json", "result.json", "metrics/1.jsonl"):
        assert found["status"]["step"] == 20
        assert found["status"]["state"] == "finished"


def test_a_run_of_a_cluster_is_shown_without_the_cluster_and_without_secrets(rich_run, call):
    store = rich_run(image="registry.example/gantry:0.1.0")
    store.write("cluster.json", RECORD.to_json())

    told = call("one")
    assert told.returncode == 0, told.stderr
    assert "Job one-r2 in namespace team, context kind-test (https://127.0.0.1:6443)" in told.stdout
    assert "gpus 2, profiles gpu, spot" in told.stdout
    assert "LEVEL, TOKENIZER" in told.stdout
    as_json = call("one", "-o", "json").stdout
    assert json.loads(as_json)["submitted"]["settings"] == {
        "image": "registry.example/gantry:0.1.0",
        "gpus": 2,
        "profiles": ["gpu", "spot"],
    }
    for text in (told.stdout, told.stderr, as_json):
        assert "s3cret" not in text


def test_a_password_in_an_address_is_not_shown(rich_run, call):
    source = "tfrecord:https://ada:s3cret@host/faces"  # which no launcher would send
    config = resolve("mlp").model_dump(mode="json")
    config["data"]["source"] = source
    rich_run(overrides=[f"data.source={source}"], config=config, data="https://ada:s3cret@host/faces/3")
    for output in ("text", "json"):
        done = call("one", "-o", output)
        assert "s3cret" not in done.stdout
        assert "https://host/faces" in done.stdout


@pytest.mark.parametrize(
    ("state", "next_verbs"),
    [
        ("finished", ["samples", "report", "artifacts", "resume"]),
        ("running", ["watch", "logs", "cancel"]),
        ("failed", ["explain", "logs", "resume", "artifacts"]),
    ],
)
def test_the_commands_to_type_next_fit_the_state(rich_run, root, desk, state, next_verbs):
    rich_run(state=state)
    found = show(Place(root), "one")
    assert [each.command.split()[1] for each in found.next] == next_verbs
    assert all(f"--root {root}" in each.command for each in found.next)


def test_a_live_local_run_is_shown(submit, root, desk):
    started = submit("train")
    (Path(started.path.url) / "go").touch()
    verbs.wait(root, "one")
    found = show(Place(root), "one")
    assert found.started["attempt"] == 1
    assert found.started["exit_code"] == 0
    assert found.status.backend == "local"


def test_what_a_trainer_left_in_a_bucket_is_shown(gcs_root, desk):
    run_here(gcs_root)
    found = show(Place(gcs_root), "e/run")

    assert found.url == f"{gcs_root}/e/run"
    assert found.status.state == "finished"
    assert found.metrics.last_step == 12
    assert found.inventory.samples.last_step == 12
    assert [each.complete for each in found.inventory.checkpoints] == [True] * 3
    assert found.inventory.bytes == sum(stat.size for stat in open_store(found.url).list())
    assert {"python", "keras"} <= found.versions.keys()
    assert found.damaged == []


def test_what_the_encoding_of_stdout_does_not_have_ends_no_command(rich_run, root, launcher):
    rich_run(preset="größer")
    done = launcher("show", "one", "--root", root, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "gr??er" in done.stdout


def test_no_such_run_is_exit_code_3(rich_run, call):
    rich_run()
    done = call("two")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
