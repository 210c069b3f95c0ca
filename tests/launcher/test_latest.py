"""``latest``: the run that was begun last, wherever one is asked for."""

import json
import os
from pathlib import Path

import pytest

from launcher.errors import NoSuchRun
from launcher.records import run_folder
from trainer.run import layout
from trainer.run.index import Entry, update
from trainer.storage import open_store


def begin(root, run, age, **record):
    """A run's folder that was begun `age` seconds before others."""
    store = open_store(f"{root}/{run}")
    store.write(layout.RUN, json.dumps({"created": record.get("created"), "config": {}}).encode())
    store.write(layout.STATUS, b"{}")
    path = Path(root) / run / layout.RUN
    date = path.stat().st_mtime - age
    os.utime(path, (date, date))


def test_the_run_that_was_begun_last(tmp_path):
    root = str(tmp_path)
    with pytest.raises(NoSuchRun, match="no run 'latest'"):
        run_folder.find_run(root, "latest")
    begin(root, "gan/old", 50)
    begin(root, "gan/new", 10)
    begin(root, "faces/newest", 5)
    begin(root, "faces/older", 30)
    found = run_folder.find_run(root, "latest")
    assert (found.path.experiment, found.path.name) == ("faces", "newest")
    assert run_folder.find_run(root, "gan/latest").path.name == "new"
    with pytest.raises(NoSuchRun, match="no run 'nobody/latest'"):
        run_folder.find_run(root, "nobody/latest")


def test_a_run_of_that_name_goes_first(tmp_path):
    begin(str(tmp_path), "gan/latest", 50)
    begin(str(tmp_path), "gan/new", 10)
    assert run_folder.find_run(str(tmp_path), "latest").path.name == "latest"


def test_many_runs_are_told_by_the_index_and_those_that_it_lacks_are_asked_for(tmp_path, monkeypatch):
    root, group = str(tmp_path), open_store(f"{tmp_path}/gan")
    for number in range(40):
        begin(root, f"gan/a{number:02d}", 100 - number)
        update(group, Entry(run=f"a{number:02d}", created=f"2026-01-01T00:00:{number:02d}+00:00"))
    begin(root, "gan/unknown", 0)
    asked = []
    begun = run_folder._begun
    monkeypatch.setattr(run_folder, "_begun", lambda store: asked.append(store.url) or begun(store))
    assert run_folder.find_run(root, "latest").path.name == "unknown"
    assert len(asked) <= 21


def test_status_without_a_name_is_of_that_run(past_run, root, launcher):
    past_run(name="one")
    done = launcher("status", "--root", root, "-o", "json")
    assert (done.returncode, json.loads(done.stdout)["run"]) == (0, "one")
    for verb in ("show", "explain", "logs", "wait"):
        done = launcher(verb, "latest", "--root", root)
        assert done.returncode in (0, 1), done.stderr
    assert "'latest'" not in launcher("wait", "latest", "--root", root).stdout
