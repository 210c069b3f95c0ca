"""What a run is to begin from: flags that are short for hyperparameters, and early refusals."""

import json
from pathlib import Path

import pytest

from launcher.commands.options import RunFlags
from launcher.errors import SpecError
from launcher.runs import verbs
from launcher.runs.warm_start import check_warm_start
from launcher.spec.runspec import make_spec
from launcher.spec.settings import layered
from tests.support.runs import TINY
from trainer.run import index
from trainer.storage import open_store


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A working folder without settings of its own or of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("GANTRY_ROOT", raising=False)
    return tmp_path


def past(root, run, *, steps=12, state="finished", indexed=True, checkpoint=True):
    """A run as its trainer leaves it, as far as a launcher looks."""
    store = open_store(f"{root}/gan")
    record = {"format": 1, "config": {"steps": steps}, "preset": "mlp"}
    result = {"steps": steps, "finished": "2026-11-01T12:00:00+00:00"} if state == "finished" else {}
    store.write(f"{run}/run.json", json.dumps(record).encode())
    if result:
        store.write(f"{run}/result.json", json.dumps(result).encode())
    if checkpoint:
        store.write(f"{run}/checkpoints/{steps}/manifest.json", b"{}")
    if indexed:
        index.update(store, index.describe(run, record, {"state": state}, result))


def spec(root, asked, *more, name="new"):
    image = "gantry:0.1.0" if str(root).startswith("gs://") else None
    return make_spec("mlp", (f"warm_start.run={asked}", *more), name, root=str(root), image=image)


def test_the_flags_are_short_for_hyperparameters_and_win_over_files(desk):
    Path("gantry.yaml").write_text("set: {data.source: keras:mnist, steps: 7}\n")
    spec = RunFlags(preset="mlp", data="images:/data/latest", warm_start="latest").spec()
    config = spec.config()
    assert (config.data.source, config.warm_start.run, config.steps) == ("images:/data/latest", "latest", 7)
    settings = layered({"preset": "mlp", "data": "digits"})
    assert settings.values["set.data.source"] == "digits"
    assert settings.origin("set.data.source") == "flag --data"
    bare = layered({"preset": "mlp", "data": "gs://bucket/faces/latest/"})
    assert bare.values["set.data.source"] == "tfrecord:gs://bucket/faces/latest/"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            {"data": "digits", "overrides": ["data.source=keras:mnist"]},
            ["--data digits", "--set data.source="],
        ),
        (
            {"warm_start": "a", "overrides": ["warm_start.run=b"]},
            ["--warm-start a", "--set warm_start.run=b"],
        ),
    ],
)
def test_a_flag_and_the_set_that_it_is_short_for_are_refused_together(desk, flags, words):
    with pytest.raises(SpecError) as refusal:
        RunFlags(preset="mlp", **flags).spec()
    assert all(word in str(refusal.value) for word in words)


@pytest.mark.parametrize("indexed", [True, False])
def test_latest_wants_another_run_that_is_finished(store, indexed):
    root = store.url
    with pytest.raises(SpecError, match=r"warm_start.run is 'latest': no run in .*/gan is finished"):
        check_warm_start(spec(root, "latest"))
    past(root, "stopped", state="stopped", indexed=indexed)
    past(root, "new", indexed=indexed)  # itself, begun again under the same name
    with pytest.raises(SpecError, match="is finished"):
        check_warm_start(spec(root, "latest"))
    check_warm_start(spec(root, "latest", "warm_start.required=false"))
    past(root, "done", indexed=indexed)
    check_warm_start(spec(root, "latest"))


def test_a_named_run_wants_a_complete_checkpoint(tmp_path):
    with pytest.raises(SpecError, match=r"there is no run .*/gan/old"):
        check_warm_start(spec(tmp_path, "old"))
    past(tmp_path, "old", state="stopped", checkpoint=False)
    with pytest.raises(SpecError, match="/gan/old has no complete checkpoint"):
        check_warm_start(spec(tmp_path, "old"))
    past(tmp_path, "old", state="stopped")
    check_warm_start(spec(tmp_path, "old"))
    with pytest.raises(SpecError, match="expected another run"):
        check_warm_start(spec(tmp_path, "old", name="old"))


def test_nothing_is_left_behind_by_a_submit_that_has_nothing_to_begin_from(root):
    with pytest.raises(SpecError, match=r"warm_start\.required=false") as refusal:
        verbs.submit(make_spec("mlp", (*TINY, "warm_start.run=latest"), "new", root=root))
    assert refusal.value.exit_code == 2 and "\n" not in str(refusal.value)
    assert not Path(root).exists()
