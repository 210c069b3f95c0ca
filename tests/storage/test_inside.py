"""A folder of a store says what a store of its own at that place says."""

import pytest

from trainer.errors import AccessError, ObjectMissing, PreconditionFailed
from trainer.storage import Inside, open_store


@pytest.fixture
def both(store):
    """A folder of a store, and a store that was opened there."""
    return Inside(store, "gan/one"), open_store(f"{store.url}/gan/one")


def test_both_see_the_same_objects(both, tmp_path):
    inside, opened = both
    assert inside.url == opened.url
    inside.write("a/b", b"content")
    opened.write("c", b"more")
    (tmp_path / "file").write_bytes(b"uploaded")
    inside.upload("a/d", tmp_path / "file")
    assert list(inside.list()) == list(opened.list())
    assert [found.name for found in inside.list("a/")] == ["a/b", "a/d"]
    assert list(inside.folders()) == list(opened.folders()) == ["a"]
    assert inside.read("a/b", 1, 3) == opened.read("a/b", 1, 3) == b"ont"
    assert inside.stat("c") == opened.stat("c") and inside.stat("d") is None
    assert b"".join(inside.parts(inside.stat("a/b"), 2)) == b"ntent"
    inside.download("a/d", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"uploaded"
    inside.delete("c")
    assert opened.stat("c") is None


def test_conditions_and_errors_are_the_stores_own(both):
    inside, _ = both
    inside.write("a", b"1", 0)
    with pytest.raises(PreconditionFailed):
        inside.write("a", b"2", 0)
    with pytest.raises(ObjectMissing, match="gan/one/b"):
        inside.read("b")


@pytest.mark.parametrize("name", ["../two/run.json", "/a", "a//b", ""])
def test_no_name_leads_out_of_the_folder(both, name):
    inside, _ = both
    for call in (inside.read, inside.stat, inside.delete, lambda name: inside.write(name, b"")):
        with pytest.raises(AccessError):
            call(name)
    with pytest.raises(AccessError):
        list(inside.list("../"))
