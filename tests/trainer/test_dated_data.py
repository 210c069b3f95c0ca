"""A run's data: pinned at its first start, trained on until its end, refused by name when it is another."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.runs import TINY, run_here
from tests.trainer.test_warm_start import killed_at, lines, run_json, same, values
from trainer import config
from trainer.data import open_source, prepare, read_pin
from trainer.errors import DataError, UserError
from trainer.storage import open_store


@pytest.fixture(scope="module")
def digits():
    return open_source("digits", (28, 28, 1)).load()


def arrive(folder, images):
    """A day's data."""
    folder.mkdir(parents=True)
    np.savez(folder / "x.npz", images=images)


def pictures(folder, images, first=0):
    """A file for each image."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, first):
        Image.fromarray(image[..., 0]).save(folder / f"{number:03}.png")
    return f"data.source=images:{folder}"


def pin_of(root, run):
    return read_pin("data.json", (root / "e" / run / "data.json").read_bytes())


def test_a_run_that_is_killed_goes_on_with_the_data_that_was_the_newest(
    tmp_path, monkeypatch, capsys, digits
):
    data = tmp_path / "data"
    arrive(data / "2026-10-31", digits[:500])
    arrive(data / "2026-11-01", digits[500:1000])
    newest = f"npz:{data}/2026-11-01/x.npz"
    dated = f"data.source=npz:{data}/latest/x.npz"
    assert run_here(tmp_path, f"data.source={newest}", run="undisturbed") == 0
    killed_at(monkeypatch, tmp_path, 5, dated, run="killed")
    arrive(data / "2026-11-02", digits[1000:1500])
    assert run_here(tmp_path, dated, run="killed") == 0
    said = run_json(tmp_path, "killed")["data"]
    assert said == run_json(tmp_path, "undisturbed")["data"]
    assert said["source"] == newest and (said["files"], said["images"]) == (1, 500)
    assert said["bytes"] == (data / "2026-11-01" / "x.npz").stat().st_size
    assert same(values(tmp_path, "killed", 12), values(tmp_path, "undisturbed", 12))
    assert lines(tmp_path, "killed") == lines(tmp_path, "undisturbed")


def test_what_is_added_waits_for_the_next_run_and_changes_no_bit(tmp_path, monkeypatch, capsys, digits):
    undisturbed = pictures(tmp_path / "a", digits[:900:30])
    source = pictures(tmp_path / "b", digits[:900:30])
    assert run_here(tmp_path, undisturbed, run="undisturbed") == 0
    killed_at(monkeypatch, tmp_path, 5, source, run="killed")
    before = (tmp_path / "e" / "killed" / "data.json").read_bytes()
    pictures(tmp_path / "b", digits[3:6], first=-3)  # before all others by name
    capsys.readouterr()
    assert run_here(tmp_path, source, run="killed") == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "wait for the next" in line]
    assert len(told) == 1 and "3 files came since the run began" in told[0] and "-01.png" in told[0]
    assert same(values(tmp_path, "killed", 12), values(tmp_path, "undisturbed", 12))
    assert (tmp_path / "e" / "killed" / "data.json").read_bytes() == before


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_what_was_pinned_and_is_another_is_refused_by_name_until_it_is_accepted(
    tmp_path, monkeypatch, capsys, digits, how
):
    source = pictures(tmp_path / "data", digits[:900:30])
    killed_at(monkeypatch, tmp_path, 5, source, run="run")
    first = pin_of(tmp_path, "run")
    victim = tmp_path / "data" / "003.png"
    if how == "gone":
        victim.unlink()
    else:
        size = victim.stat().st_size
        victim.write_bytes((tmp_path / "data" / "004.png").read_bytes().ljust(size, b"\0")[:size])
    before = {stat.name: stat.generation for stat in open_store(str(tmp_path / "e" / "run")).list()}
    with pytest.raises(DataError) as refusal:
        run_here(tmp_path, source, run="run")
    text = str(refusal.value)
    assert "\n" not in text and "1 of 30 files that the run began with is" in text and "003.png" in text
    assert "--accept-changed-data" in text and "--warm-start" in text
    after = {stat.name: stat.generation for stat in open_store(str(tmp_path / "e" / "run")).list()}
    assert {name: each for name, each in after.items() if name != "lease.json"} == {
        name: each for name, each in before.items() if name != "lease.json"
    }
    if how == "changed":  # what is there now is a picture and bytes behind it, which Pillow reads
        Image.fromarray(digits[7, ..., 0]).save(victim)
    assert run_here(tmp_path, source, run="run", accept_changed_data=True) == 0
    now = pin_of(tmp_path, "run")
    assert [(each[how], each["before"]) for each in now.accepted] == [(1, first.fingerprint)]
    assert run_json(tmp_path, "run")["data"] == now.summary() and now.summary()["accepted"] == 1


def test_all_kinds_of_sources_are_pinned(tmp_path, monkeypatch, digits):
    arrive(tmp_path / "npz", digits[:500])
    prepare(f"npz:{tmp_path}/npz/x.npz", f"tfrecord:{tmp_path}/shards", shard_images=256)
    prepare(f"npz:{tmp_path}/npz/x.npz", f"tfrecord:{tmp_path}/bare", shard_images=256)
    (tmp_path / "bare" / "index.json").unlink()
    for run, source, files in (
        ("npz", f"npz:{tmp_path}/npz/x.npz", ["x.npz"]),
        ("shards", f"tfrecord:{tmp_path}/shards", ["index.json", *SHARDS]),
        ("bare", f"tfrecord:{tmp_path}/bare", SHARDS),
        ("digits", "digits", ["images"]),
    ):
        assert run_here(tmp_path, f"data.source={source}", "steps=2", run=run) == 0
        assert [file.name for file in pin_of(tmp_path, run).files] == files
    for folder, victim in (("shards", "index.json"), ("bare", SHARDS[1])):
        path = tmp_path / folder / victim
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(DataError, match=rf"is not what it was: {victim}|1 bytes|cut short"):
            run_here(tmp_path, f"data.source=tfrecord:{tmp_path}/{folder}", "steps=4", run=folder)


SHARDS = ["shard-00000-of-00002.tfrecord", "shard-00001-of-00002.tfrecord"]


def test_shards_are_pinned_with_their_generations_in_a_bucket(tmp_path, gcs_root, monkeypatch, digits):
    arrive(tmp_path / "npz", digits[:500])
    source = f"tfrecord:{gcs_root}/set"
    prepare(f"npz:{tmp_path}/npz/x.npz", source, shard_images=256)
    assert run_here(tmp_path, f"data.source={source}", "steps=2") == 0
    store = open_store(f"{gcs_root}/set")
    there = {found.name: found for found in store.list()}
    pinned = {file.name: file for file in pin_of(tmp_path, "run").files}
    assert [pinned[name].generation for name in SHARDS] == [there[name].generation for name in SHARDS]
    store.write("shard-00002-of-00003.tfrecord", b"another's")  # waits, as everything that came
    assert run_here(tmp_path, f"data.source={source}", "steps=4") == 0
    store.write(SHARDS[0], store.read(SHARDS[0])[:-1] + b"x")
    with pytest.raises(DataError, match=f"{SHARDS[0]} has the crc32c"):
        run_here(tmp_path, f"data.source={source}", "steps=6")


def test_a_pin_that_is_gone_is_told_with_the_way_on(tmp_path, monkeypatch, digits):
    source = pictures(tmp_path / "data", digits[:900:30])
    assert run_here(tmp_path, source, "steps=2") == 0
    (tmp_path / "e" / "run" / "data.json").unlink()
    with pytest.raises(UserError, match=r"data\.json is gone.*--accept-changed-data") as refusal:
        run_here(tmp_path, source, "steps=4")
    assert refusal.value.exit_code == 2
    assert run_here(tmp_path, source, "steps=4", accept_changed_data=True) == 0
    assert len(pin_of(tmp_path, "run").files) == 30


def test_a_run_that_was_begun_before_there_were_pins_gets_one(tmp_path, digits):
    source = pictures(tmp_path / "data", digits[:900:30])
    assert run_here(tmp_path, source, "steps=2") == 0
    record = run_json(tmp_path, "run") | {"data": None}
    (tmp_path / "e" / "run" / "run.json").write_text(json.dumps(record))
    (tmp_path / "e" / "run" / "data.json").unlink()
    assert run_here(tmp_path, source, "steps=4") == 0
    assert run_json(tmp_path, "run")["data"] == pin_of(tmp_path, "run").summary()


def test_another_folder_of_the_same_name_is_not_taken_for_the_runs(tmp_path, monkeypatch, digits):
    for place, images in (("a", digits[:900:30]), ("b", digits[15:915:30])):
        pictures(tmp_path / place / "few", images)
    monkeypatch.chdir(tmp_path / "a")
    assert run_here(tmp_path, "data.source=images:few", "steps=2") == 0
    begun = run_json(tmp_path, "run")
    assert begun["config"]["data"]["source"] == f"images:{tmp_path}/a/few"
    assert f"data.source=images:{tmp_path}/a/few" in begun["overrides"]
    monkeypatch.chdir(tmp_path / "b")
    with pytest.raises(
        UserError, match=f"data.source .was images:{tmp_path}/a/few, now images:{tmp_path}/b/few"
    ):
        run_here(tmp_path, "data.source=images:few", "steps=4")


def test_damaged_images_are_left_out_for_who_wants_that_and_stay_so(tmp_path, capsys, digits):
    source = pictures(tmp_path / "data", digits[:900:30])
    for number in (3, 7):
        (tmp_path / "data" / f"{number:03}.png").write_bytes(b"no picture")
    (tmp_path / "data" / "notes.txt").write_text("of somebody")
    with pytest.raises(DataError, match=r"2 of 30 images cannot be read: .*003\.png .*007\.png"):
        run_here(tmp_path, source, "steps=2")
    assert not (tmp_path / "e").exists()
    assert run_here(tmp_path, source, "steps=2", "data.skip_damaged=true") == 0
    said = capsys.readouterr().out
    assert f"images:{tmp_path}/data: 28 images of 28x28x1\n" in said
    assert "left out, as no images that are read: 1 .txt\n" in said
    assert "left out, as they cannot be read: 003.png, 007.png\n" in said
    assert pin_of(tmp_path, "run").skipped == ("003.png", "007.png")
    Image.fromarray(digits[7, ..., 0]).save(tmp_path / "data" / "003.png")  # mended: for the next run
    assert run_here(tmp_path, source, "steps=4", "data.skip_damaged=true") == 0
    assert "28 images" in capsys.readouterr().out and len(pin_of(tmp_path, "run").files) == 28


def test_nothing_that_latest_could_stand_for_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match="no folder 'latest'") as refusal:
        run_here(tmp_path / "runs", f"data.source=images:{tmp_path}/data/latest")
    assert refusal.value.exit_code == 2 and not (tmp_path / "runs").exists()


def test_a_run_that_a_launcher_claimed_has_decided_nothing_yet(tmp_path, digits):
    """Its run.json is there before any trainer, perhaps with keys that are null."""
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


def test_what_is_said_of_data_needs_no_tensorflow():
    """Whose import takes seconds: what a process says of its data comes before that."""
    code = "import sys, trainer.training.opening, trainer.data.shards, trainer.data.examples\n"
    code += "import trainer.data.example_proto\n"
    code += "from trainer.data import open_source, oddities; oddities(open_source('digits', None))\n"
    code += "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
