"""A checkpoint that is being written, whose manifest is there and empty: nobody takes it for one."""

import pytest

from launcher.artifacts import delete_files, download_files
from launcher.errors import SpecError
from launcher.records.status import newest_checkpoint
from launcher.runs import verbs
from trainer.run import layout

FILES = {
    "run.json": b"{}",
    "checkpoints/10/manifest.json": b"{}",
    "checkpoints/10/state": b"s10",
    "checkpoints/20/manifest.json": b"",
    "checkpoints/20/state": b"half of one",
}


@pytest.fixture
def claimed(store):
    """A run in a store of each kind."""
    for name, content in FILES.items():
        store.write(name, content)
    return store


@pytest.mark.parametrize(
    ("name", "size", "complete"),
    [
        ("checkpoints/10/manifest.json", 1, True),
        ("checkpoints/10/manifest.json", 0, False),
        ("checkpoints/10/state", 9, False),
        ("checkpoints/010/manifest.json", 9, False),
        ("run.json", 9, False),
    ],
)
def test_which_objects_make_a_checkpoint(name, size, complete):
    assert layout.is_complete(name, size) is complete


def test_the_newest_checkpoint_is_one_that_is_complete(claimed):
    assert newest_checkpoint(claimed).step == 10
    claimed.write("checkpoints/20/manifest.json", b"{}")
    assert newest_checkpoint(claimed).step == 20


def test_a_run_goes_on_from_a_complete_one(past_run, root):
    folder = past_run(files=("checkpoints/10/manifest.json", "checkpoints/20/manifest.json"))
    (folder / "checkpoints/20/manifest.json").write_bytes(b"")
    assert verbs.status(root, "past").checkpoint_step == 10


def test_a_download_leaves_it_out(claimed, tmp_path):
    done = download_files(claimed, tmp_path / "all")
    assert sorted(done.copied) == ["checkpoints/10/manifest.json", "checkpoints/10/state", "run.json"]
    assert done.left_out == ["checkpoints/20/"]
    newest = download_files(claimed, tmp_path / "newest", latest=True)
    assert "checkpoints/10/state" in newest.copied
    assert "checkpoints/20/state" not in newest.copied
    with pytest.raises(SpecError, match="an unfinished checkpoint"):
        download_files(claimed, tmp_path / "one", step=20)


def test_a_deletion_takes_it_too(claimed):
    delete_files(claimed)
    assert list(claimed.list()) == []
