"""The reader of the chaos tests finds what it is there for, and nothing else."""

import json

import pytest

from tests.chaos.reader import Reader
from trainer.run import layout
from trainer.storage import crc32c, open_store


def manifest(step, files):
    entries = [{"name": name, "size": len(text), "crc32c": crc32c(text)} for name, text in files.items()]
    return json.dumps({"format": 1, "step": step, "files": entries}).encode()


def save(store, step, content=b"weights"):
    """Write a checkpoint as the trainer does: a claim, the files, the manifest."""
    files = {"state.index": b"index", "state.data-00000-of-00001": content}
    store.write(layout.checkpoint_manifest(step), b"")
    for name, text in files.items():
        store.write(layout.checkpoint_folder(step) + name, text)
    store.write(layout.checkpoint_manifest(step), manifest(step, files))


class Delayed:
    """A store whose next listing is of how things were when this was made."""

    def __init__(self, store):
        self._store, self._stale = store, list(store.list("checkpoints/"))

    def list(self, prefix):
        stale, self._stale = self._stale, None
        return iter(stale) if stale is not None else self._store.list(prefix)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.fixture
def run(gcs_root):
    store = open_store(f"{gcs_root}/e/run")
    save(store, 20)
    save(store, 40)
    return store


def test_whole_checkpoints_claims_and_files_without_a_manifest_are_no_findings(run):
    run.write("checkpoints/60/manifest.json", b"")
    run.write("checkpoints/80/state.index", b"index")
    reader = Reader(run)
    with reader:
        pass
    assert reader.findings == []
    assert reader.seen == {20, 40}


@pytest.mark.parametrize("name", ["state.index", "state.data-00000-of-00001"])
def test_a_file_that_is_missing_or_another_one_is_found(run, name):
    reader = Reader(run)
    run.write(f"checkpoints/20/{name}", b"torn")
    run.delete(f"checkpoints/40/{name}")
    reader.look()
    assert [found.split(":")[0] for found in reader.findings] == [
        "torn checkpoint checkpoints/20/",
        "torn checkpoint checkpoints/40/",
    ]
    assert all(name in found for found in reader.findings)


def test_a_checkpoint_that_becomes_torn_later_is_found(run):
    reader = Reader(run)
    reader.look()
    run.write("checkpoints/40/state.index", b"INDEX")  # of the same size
    reader.look()
    assert len(reader.findings) == 1


@pytest.mark.parametrize("is_read_before", [False, True])
def test_a_checkpoint_that_is_removed_or_replaced_meanwhile_is_no_finding(run, is_read_before):
    late = Delayed(run)
    reader = Reader(late)
    if is_read_before:  # else its manifest is gone before the reader can read it
        for stat in run.list("checkpoints/"):
            if layout.is_complete(stat.name, stat.size):
                reader._entries(stat)
    save(run, 40, b"other weights")
    for name in ("manifest.json", "state.index"):
        run.delete(f"checkpoints/20/{name}")
    reader.look()
    assert reader.findings == []


def test_the_newest_complete_checkpoint_must_not_go_back(run):
    reader = Reader(run)
    reader.look()
    run.delete("checkpoints/20/manifest.json")
    reader.look()
    assert reader.findings == []
    run.write("checkpoints/40/manifest.json", b"")
    reader.look()
    assert reader.findings == ["the newest complete checkpoint was 40 and is 0"]


def test_a_reader_that_fails_says_so(run):
    class Broken:
        def list(self, prefix):
            raise OSError("away")

    with Reader(Broken()) as reader:
        pass
    assert "away" in reader.findings[0]
