"""Names of objects never lead out of the folder that they are copied to."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.artifacts import download_files
from launcher.artifacts.paths import Destination, local_path, part_path
from trainer.errors import AccessError
from trainer.storage import LocalStore, Stat

REFUSED = [
    "..",
    "../a",
    "a/../../b",
    "/etc/passwd",
    "//host/share",
    "a/./b",
    "a//b",
    "a/",
    "",
    "a\\..\\b",
    "C:\\a",
    "a\0b",
    ".unfinished-1-a",
    "x/.unfinished-1-a",
    "a\ud800",
]

pieces = st.sampled_from(
    ["..", ".", "", "/", "\\", "\0", "a", "~", "C:", " ", "ü", "\ud800", ".unfinished-", "%2e"]
)
names = (
    st.text(max_size=20)
    | st.lists(pieces, max_size=6).map("/".join)
    | st.lists(pieces, max_size=6).map("".join)
)


@settings(max_examples=1000)
@given(name=names)
def test_a_name_stays_in_the_folder_or_is_refused(name):
    folder = Path("/some/folder")
    try:
        path = local_path(folder, name)
    except AccessError as refused:
        assert "\n" not in str(refused)
        return
    # What the operating system makes of the path, and not only what its text looks like.
    normal = os.path.normpath(path)
    assert normal.startswith("/some/folder/")
    assert normal == str(path) == f"/some/folder/{name}"
    assert part_path(path, 7).parent == path.parent
    assert part_path(path, 7).name != path.name


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_leave_the_folder_are_refused_with_the_name(name):
    with pytest.raises(AccessError, match="object name"):
        local_path(Path("out"), name)


@given(name=st.sampled_from(["a", "b", "x" * 255, "ü" * 120]), generation=st.integers(0, 1 << 88))
def test_the_file_of_a_part_has_a_name_that_a_disk_takes(name, generation):
    part = part_path(Path("folder") / name, generation)
    assert len(os.fsencode(part.name)) <= 255
    assert part != part_path(Path("folder") / name, generation + 1)


class Forged(LocalStore):
    """A store whose listing holds a name of an attacker's choice."""

    name = ""

    def list(self, prefix=""):
        yield from super().list(prefix)
        yield Stat(self.name, 7, 1, datetime.now(UTC))


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_name_in_a_listing_ends_a_download_before_it_begins(tmp_path, name):
    store = Forged(tmp_path / "store")
    store.write("good", b"content")
    store.name = name
    with pytest.raises(AccessError, match="object name"):
        download_files(store, tmp_path / "deep/out")
    assert not (tmp_path / "deep").exists()


def test_a_link_that_leaves_the_folder_is_refused_and_one_that_stays_is_followed(tmp_path):
    store = LocalStore(tmp_path / "store")
    store.write("samples/10.png", b"content")
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "samples").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AccessError, match=r"samples/10\.png.*is a link that leaves"):
        download_files(store, out)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (out / "samples").unlink()
    (out / "inside").mkdir()
    (out / "samples").symlink_to("inside")
    download_files(store, out)
    assert (out / "inside/10.png").read_bytes() == b"content"
    (tmp_path / "link").symlink_to(out)
    assert download_files(store, tmp_path / "link").unchanged == ["samples/10.png"]


def test_a_file_that_is_a_link_is_refused_or_replaced_and_never_written_through(tmp_path):
    store = LocalStore(tmp_path / "store")
    store.write("a", b"content")
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "outside").write_bytes(b"theirs!")
    (out / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(AccessError, match="is a link that leaves"):
        download_files(store, out)
    (out / "a").unlink()
    (out / "mine").write_bytes(b"mine")
    (out / "a").symlink_to("mine")
    download_files(store, out)
    assert (out / "a").read_bytes() == b"content"
    assert (out / "mine").read_bytes() == b"mine"
    assert (tmp_path / "outside").read_bytes() == b"theirs!"


def test_more_folders_than_are_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr("launcher.artifacts.paths._FOLDERS", 2)
    place = Destination(tmp_path / "out")
    for number in range(5):
        assert place.enter(f"{number}/a").parent.is_dir()


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    store = LocalStore(tmp_path / "store")
    store.write("samples/10.png", b"content")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/samples").write_bytes(b"a file")
    with pytest.raises(AccessError, match=r"--to .*samples"):
        download_files(store, tmp_path / "out")
    with pytest.raises(AccessError, match=r"--to .*samples: is a file"):
        download_files(store, tmp_path / "out/samples")
