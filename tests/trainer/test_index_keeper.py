"""A run keeps its entry in the index, and neither fails nor waits when it cannot."""

import json
import threading

import pytest

from tests.support.runs import run_here
from trainer.errors import Diverged, StorageError
from trainer.run import index
from trainer.run.index import IndexKeeper, keeper
from trainer.storage import open_store

RECORD = {"format": 1, "config": {"steps": 60}}
WILD = ("optimizer.learning_rate=1", "optimizer.beta2=0", "optimizer.epsilon=1e-30", "steps=60")


def test_a_run_leaves_the_entry_that_a_rebuild_gives(tmp_path):
    assert run_here(tmp_path) == 0
    store = open_store(str(tmp_path / "e"))
    left = index.read(store)
    assert (left["run"].state, left["run"].step, left["run"].backend) == ("finished", 12, None)
    assert left["run"].metrics.keys() > {"d_loss", "g_loss"} and left["run"].ended
    assert left == index.rebuild(store)
    assert run_here(tmp_path, "steps=14") == 0  # more steps: running again, then finished later
    assert index.read(store)["run"].step == 14 and index.read(store) == index.rebuild(store)


def test_a_run_that_failed_says_so(tmp_path):
    with pytest.raises(Diverged):
        run_here(tmp_path, *WILD)
    store = open_store(str(tmp_path / "e"))
    left = index.read(store)
    assert left["run"].state == "failed" and left["run"].ended and left == index.rebuild(store)


def test_a_run_whose_index_cannot_be_written_is_finished_with_a_note(tmp_path, capsys):
    (tmp_path / "e" / "index.json" / "in the way").mkdir(parents=True)
    assert run_here(tmp_path) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1 and "index" in notes[0]
    assert json.loads((tmp_path / "e" / "run" / "result.json").read_text())["state"] == "finished"


class Away:
    """A store that does not answer until it is told to, and then fails."""

    url = "gs://away/e"

    def __init__(self):
        self.back = threading.Event()

    def stat(self, *_):
        self.back.wait(60)
        raise StorageError("away for two minutes")

    read = list = stat


def test_an_index_that_does_not_answer_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(keeper, "CLOSE_SECONDS", 0.1)
    store, said = Away(), []
    kept = IndexKeeper(store, "run", RECORD, said.append)
    kept.tell({"state": "running"}, {})
    kept.close({"state": "stopped", "step": 20}, {})
    index.refresh(store, "run", said.append)
    assert len(said) == 1 and "not done within" in said[0]
    store.back.set()


class Counted:
    """A store that counts how often its index is written."""

    def __init__(self, store):
        self._store, self.written = store, 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def write(self, name, content, if_generation=None):
        self.written += 1
        return self._store.write(name, content, if_generation)


def test_the_last_word_counts(tmp_path):
    store = Counted(open_store(str(tmp_path)))
    kept = IndexKeeper(store, "run", RECORD, print)
    for step in range(20):
        kept.tell({"state": "running", "step": step}, {})
    kept.close({"state": "stopped", "step": 20, "updated": "2026-11-01T12:00:00+00:00"}, {})
    entry = index.read(store)["run"]
    assert (entry.state, entry.step, entry.steps) == ("stopped", 20, 60) and store.written <= 21
