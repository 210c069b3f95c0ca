"""Data called ``latest``: found once, recorded, and gone on with whatever comes later."""

import json

import numpy as np
import pytest

from tests.support.runs import TINY, run_here
from tests.trainer.test_warm_start import killed_at, lines, run_json, same, values
from trainer.data import open_source
from trainer.errors import DataError
from trainer.storage import open_store


@pytest.fixture(scope="module")
def digits():
    return open_source("digits", (28, 28, 1)).load()


def arrive(folder, images):
    """A day's data."""
    folder.mkdir(parents=True)
    np.savez(folder / "x.npz", images=images)


def test_a_run_that_is_killed_goes_on_with_the_data_that_was_the_newest(
    tmp_path, monkeypatch, capsys, digits
):
    data = tmp_path / "data"
    arrive(data / "2026-10-31", digits[:500])
    arrive(data / "2026-11-01", digits[500:1000])
    newest = f"npz:{data}/2026-11-01/x.npz"
    dated = f"data.source=npz:{data}/latest/x.npz"
    assert run_here(tmp_path, f"data.source={newest}", run="undisturbed") == 0
    assert run_json(tmp_path, "undisturbed")["data"] is None
    killed_at(monkeypatch, tmp_path, 5, dated, run="killed")
    arrive(data / "2026-11-02", digits[1000:1500])
    assert run_here(tmp_path, dated, run="killed") == 0
    said = run_json(tmp_path, "killed")["data"]
    assert said["source"] == newest and said["files"] == 1
    assert said["bytes"] == (data / "2026-11-01" / "x.npz").stat().st_size
    assert same(values(tmp_path, "killed", 12), values(tmp_path, "undisturbed", 12))
    assert lines(tmp_path, "killed") == lines(tmp_path, "undisturbed")
    printed = capsys.readouterr().out
    assert f"is {newest}: 1 files" in printed and "has changed" not in printed


def test_data_that_changes_under_a_run_is_told_in_a_line(tmp_path, monkeypatch, capsys, digits):
    data = tmp_path / "data"
    arrive(data / "latest", digits[:500])
    dated = f"data.source=npz:{data}/latest/x.npz"
    killed_at(monkeypatch, tmp_path, 1, dated, run="run")
    before = run_json(tmp_path, "run")["data"]
    assert before["source"] == f"npz:{data}/latest/x.npz"
    np.savez(data / "latest" / "x.npz", images=digits[:400])
    capsys.readouterr()
    assert run_here(tmp_path, dated, run="run") == 0
    warned = [
        line for line in capsys.readouterr().out.splitlines() if "has changed since the run began" in line
    ]
    assert len(warned) == 1 and warned[0].startswith("warning: ")
    assert run_json(tmp_path, "run")["data"] == before


def test_nothing_that_latest_could_stand_for_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match="no folder 'latest'") as refusal:
        run_here(tmp_path / "runs", f"data.source=images:{tmp_path}/data/latest")
    assert refusal.value.exit_code == 2 and not (tmp_path / "runs").exists()


def test_a_run_that_a_launcher_claimed_has_decided_nothing_yet(tmp_path, digits):
    """Its run.json is there before any trainer, perhaps with keys that are null."""
    from trainer import config

    arrive(tmp_path / "data" / "7", digits[:500])
    sets = (*TINY, "steps=2", f"data.source=npz:{tmp_path}/data/latest/x.npz")
    claimed = {
        "format": 1, "created": "2026-11-01T12:00:00+00:00", "preset": "mlp", "overrides": list(sets),
        "world_size": 1, "image": "gantry:1", "versions": {"launcher": "0.1.0"}, "data": None,
        "warm_start": None,
        "config": config.resolve("mlp", sets).model_dump(mode="json"),
    }  # fmt: skip
    open_store(str(tmp_path / "e" / "run")).write("run.json", json.dumps(claimed).encode())
    assert run_here(tmp_path, sets=sets) == 0
    assert run_json(tmp_path, "run")["data"]["source"] == f"npz:{tmp_path}/data/7/x.npz"
