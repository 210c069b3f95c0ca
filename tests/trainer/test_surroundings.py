"""What surrounds a run does not reach its mathematics, hang it or stop it: the table of `surroundings`."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.support import told
from tests.support.flags import set_flags
from tests.support.teams import Team, outcome
from tests.trainer.surroundings import CLEAN, TABLE, Place, may_mount, together
from trainer.environment import surroundings
from trainer.storage import open_store

STEPS = 2
SETS = (
    f"steps={STEPS}",
    "batch_size=66",
    "seed=2",
    f"checkpoints.every_steps={STEPS}",
    f"samples.every_steps={STEPS}",
    "metrics.every_steps=1",
    "xla=off",
)
LAUNCHER = str(Path(sys.executable).with_name("launcher"))
FULL = os.environ.get("GANTRY_SURROUNDINGS")  # a file to add lines to, where every row trains
TRAINED = TABLE if FULL else [together(row for row in TABLE if row.short)]
# Where what a person types may differ from what a run gets: Python itself, files, limits and streams.
TYPED = [row for row in TABLE if row.files or row.before or row.streams or "PYTHON" in str(row.env)]
BY_NAME = {"ids": lambda row: row.name.replace(" ", "-")}


@pytest.fixture
def place(tmp_path):
    def make(row):
        if row.mounts and not may_mount():
            pytest.skip("nothing can be mounted here")
        return Place(tmp_path / "place", row)

    return make


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A function: where a run with so many workers trained in clean surroundings, and what it left."""
    made = {}

    def run(workers):
        if workers not in made:
            at = Place(tmp_path_factory.mktemp("clean") / "place", CLEAN)
            done = submit(at, workers)
            assert done.returncode == 0, done
            made[workers] = at
        return left(made[workers])

    run.place = lambda workers: made[workers]
    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """What a process gets in clean surroundings."""
    return _told(Place(tmp_path_factory.mktemp("plain") / "place", CLEAN))


def submit(at, workers):
    flags = ["--preset", "mlp", "--workers", str(workers), "--threads", "1", "--name", "one"]
    return at.call(LAUNCHER, "submit", "--backend", "local", "--root", str(at.runs), *flags, *set_flags(SETS))


def left(at):
    store = open_store(str(at.runs / "gan" / "one"))
    return outcome(store, STEPS) | {"export/loss.png": store.read("export/loss.png")}


def _told(at):
    done = at.call(sys.executable, told.__file__, "start", str(at.runs / "told.json"))
    assert done.returncode == 0, (done, (at.runs / "told.log").read_text())
    return json.loads((at.runs / "told.json").read_text())


@pytest.mark.parametrize("row", TABLE, **BY_NAME)
def test_a_process_of_a_run_gets_what_it_gets_in_clean_surroundings(place, plain, row):
    at = place(row)
    found = _told(at)
    decided = {rule.name for rule in surroundings.RULES} - {"TF_GRPC_DEFAULT_OPTIONS"}
    assert {name: found["environ"].get(name) for name in decided} == {
        name: plain["environ"].get(name) for name in decided
    }
    assert found["environ"]["TF_GRPC_DEFAULT_OPTIONS"].split(",")[-1] == "grpc.enable_http_proxy=0"
    for key in ("origins", "warnings", "optimize"):
        assert found[key] == plain[key], key
    assert "TF_CONFIG" not in found["environ"]
    passing = row.env.keys() - decided - {"TF_CONFIG", "TF_GRPC_DEFAULT_OPTIONS"}
    assert all(found["environ"].get(name) == row.env[name] for name in passing)
    more = found["recorded"]["variables"]
    assert more == (dict(row.env) if row.recorded else more if "TF_GRPC" in str(row.env) else {})


@pytest.mark.parametrize("row", [row for row in TYPED if not row.hidden], **BY_NAME)
def test_a_command_that_a_person_types_works_there(place, row):
    done = place(row).call(sys.executable, "-m", "trainer", "config", "--preset", "mlp")
    if done.returncode == 2 and row.refused:
        assert (
            done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and row.refused in done.stderr
        )
        return
    assert done.returncode == 0, done
    assert "Traceback" not in done.stderr
    assert "learning_rate" in done.stdout or ">&-" in row.streams


@pytest.mark.parametrize("row", TRAINED, **BY_NAME)
def test_a_run_there_ends_in_the_bits_of_one_in_clean_surroundings(place, clean, row):
    at, began = place(row), time.monotonic()
    done = submit(at, row.workers)
    logs = [log.read_text() for log in at.runs.glob("gan/one/logs/1/*")]
    said = "".join([done.stdout, done.stderr, *logs])
    if row.refused:
        assert done.returncode == 2, done
        assert row.refused in said and "Traceback" not in said, said
        result = "one line, exit code 2"
    else:
        assert done.returncode == 0, (done, said)
        assert "was not drawn" not in said
        same = left(at) == clean(row.workers)
        result = "the same bits" if same else "other bits, recorded"
        assert same or row.recorded
    if row.recorded:
        record = json.loads((at.runs / "gan/one/run.json").read_text())
        assert record["surroundings"] == {"threads": 1, "variables": dict(row.env)}
    if FULL:
        line = {
            "name": row.name,
            "workers": row.workers,
            "result": result,
            "seconds": time.monotonic() - began,
        }
        with Path(FULL).open("a") as file:
            file.write(json.dumps(line) + "\n")


def test_whoever_goes_on_under_other_threads_or_flags_is_told_and_no_picture_fails_a_run(tmp_path, clean):
    """What was typed for a run counts although there is a rule for it: here, a backend that there is not."""
    clean(1)
    root = tmp_path / "runs"
    shutil.copytree(clean.place(1).runs, root)
    flags = "--xla_cpu_enable_fast_math=false"
    command = ["--experiment", "gan", "--threads", "2"]
    env = {"XLA_FLAGS": flags, "MPLBACKEND": "nonsense", surroundings.TYPED: "MPLBACKEND"}
    more = {"sets": (*SETS[1:], "steps=4"), "options": command, "env": env}
    with Team(str(root), "one", tmp_path / "logs", **more) as team:
        assert team.wait() == [0], team.log()
    said = team.log()
    (warning,) = [line for line in said.splitlines() if "since the run began" in line]
    # What libraries have put into the environment of the tests' own process may stand between the two.
    assert f"XLA_FLAGS was not set, now {flags}" in warning and "threads was 1, now 2" in warning
    assert "note: MPLBACKEND=nonsense was typed for this run and counts; it would be set to agg" in said
    assert "warning: export/loss.png was not drawn: " in said and "nonsense" in said
    assert open_store(str(root / "gan/one")).stat("result.json")


def test_pictures_can_be_drawn_where_another_keras_is_asked_for(tmp_path, clean):
    clean(1)
    run = str(clean.place(1).runs / "gan/one")
    at = Place(tmp_path / "place", next(row for row in TABLE if row.name == "TF_USE_LEGACY_KERAS"))
    out = str(at.here / "grid.png")
    done = at.call(sys.executable, "-m", "trainer", "sample", "--run-dir", run, "--out", out)
    assert done.returncode == 0, done
    assert Path(out).read_bytes() == open_store(run).read(f"samples/{STEPS}.png")
