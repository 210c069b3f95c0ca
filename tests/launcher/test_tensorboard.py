"""A real TensorBoard on a run: it serves what the run wrote, and what the run writes meanwhile."""

import json
import os
import signal
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

from launcher.cli import main
from launcher.looking.tensorboard import tag
from tests.launcher.run_folder import line, write_lines, write_run
from tests.launcher.waiting import wait_until


@pytest.fixture
def served(tmp_path):
    """A TensorBoard on two runs: its address, and the process of the command."""
    for run in ("one", "two"):
        write_run(tmp_path / "runs/gan" / run, grids=4, now=run == "two")
    (tmp_path / "temporary").mkdir()
    names = ["one", "gan/two", "--root", str(tmp_path / "runs"), "--port", "0", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", "tensorboard", *names],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary"), "PYTHONUNBUFFERED": "1"},
    )
    try:
        told = process.stdout.readline()
        yield told.split("gan/two: ")[1].split()[0], process
    finally:
        process.kill()
        process.wait()


def ask(url, place, **query):
    with urllib.request.urlopen(f"{url}data/plugin/{place}?{urllib.parse.urlencode(query)}") as answer:
        return answer.read()


def scalars(url, run="gan/one", key="loss/d_loss"):
    return json.loads(ask(url, "scalars/scalars", run=run, tag=key))


def test_a_real_tensorboard_serves_a_run_and_follows_it(served, tmp_path):
    url, process = served
    wait_until(lambda: len(json.loads(ask(url, "scalars/tags"))) == 2, "TensorBoard's first look")
    tags = json.loads(ask(url, "scalars/tags"))
    assert set(tags["gan/two"]) == {tag(key) for key in line(5) if key not in ("step", "images")}
    shown = scalars(url)
    assert [step for _, step, _ in shown] == list(range(5, 201, 5))
    assert [value for *_, value in shown] == pytest.approx(
        [line(step)["d_loss"] for step in range(5, 201, 5)]
    )
    times = [time for time, *_ in shown]
    assert times == sorted(times)
    assert times[0] > 1_767_322_000  # the run was created on 2 January 2026

    images = json.loads(ask(url, "images/images", run="gan/one", tag="samples"))
    assert [image["step"] for image in images] == [50, 100, 150, 200]
    query = dict(urllib.parse.parse_qsl(images[1]["query"]))
    grid = tmp_path / "runs/gan/one/samples/100.png"
    assert ask(url, "images/individualImage", **query) == grid.read_bytes()

    images = json.loads(ask(url, "images/images", run="gan/two", tag="samples"))
    assert [image["step"] for image in images] == [0, 50, 100, 150, 200]
    (real,) = json.loads(ask(url, "images/images", run="gan/two", tag="real images"))
    query = dict(urllib.parse.parse_qsl(real["query"]))
    there = tmp_path / "runs/gan/two/samples/real.png"
    assert ask(url, "images/individualImage", **query) == there.read_bytes()

    write_lines(tmp_path / "runs/gan/one", [line(205), line(210)], "metrics/201.jsonl")
    wait_until(lambda: len(scalars(url)) == 42, "the new lines in TensorBoard")
    assert scalars(url)[-1][1:] == [210, pytest.approx(line(210)["d_loss"])]

    assert list((tmp_path / "temporary").glob("gantry-tensorboard-*"))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert not list((tmp_path / "temporary").glob("gantry-tensorboard-*"))


def test_export_writes_event_files_once(tmp_path, capsys, gcs_root):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from trainer.storage import open_store

    folder = write_run(tmp_path / "run", grids=2)
    store = open_store(f"{gcs_root}/gan/one")
    for path in folder.rglob("*.*"):
        store.upload(str(path.relative_to(folder)), path)
    arguments = ["tensorboard", "one", "--root", gcs_root, "--export", str(tmp_path / "events")]
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("282 values and grids written")  # 40 lines of 7, and 2 grids
    events = EventAccumulator(str(tmp_path / "events/gan/one"))
    events.Reload()
    found = events.Scalars("loss/g_loss")
    assert [event.step for event in found] == list(range(5, 201, 5))
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "expected a folder without event files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("nope", 3, "no run 'nope'"),
        ("one --host 203.0.113.1 --port 0", 2, "--host 203.0.113.1 --port 0: "),
        ("one --port 70000", 2, "--port"),
    ],
)
def test_mistakes(tmp_path, capsys, arguments, code, words):
    write_run(tmp_path / "gan/one", grids=0)
    with pytest.raises(SystemExit) as left:
        main(["tensorboard", *arguments.split(), "--root", str(tmp_path)])
    assert left.value.code == code
    error = capsys.readouterr().err
    assert words in error


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("g_loss", "loss/g_loss"),
        ("d_accuracy_real", "accuracy/d_accuracy_real"),
        ("images_per_second", "speed/images_per_second"),
        ("fid", "metrics/fid"),
    ],
)
def test_tags_are_grouped(key, expected):
    assert tag(key) == expected
