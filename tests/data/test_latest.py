"""What ``latest`` stands for in a source."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data import names_latest, resolve_latest
from trainer.errors import DataError
from trainer.storage import open_store


def folders(root, *names):
    """Folders with a file each, in a bucket too."""
    for name in names:
        open_store(f"{root}/{name}").write("part.tfrecord", b"x")


@pytest.mark.parametrize(
    ("names", "newest"),
    [
        (["2026-11-01", "2026-10-31", "2025-12-31"], "2026-11-01"),
        (["9", "10", "8"], "10"),
        (["007", "8"], "8"),
        (["20261101", "2026-11-02"], "20261101"),  # not all are numbers: by name, and "1" is after "-"
        (["2026-11-01", "archive", "old"], "2026-11-01"),
        (["alpha", "beta"], "beta"),
        (["2026-11-01", "_SUCCESS", ".trash"], "2026-11-01"),
    ],
)
def test_it_is_the_newest_folder_beside_it_by_name(store, names, newest):
    folders(store.url, *names)
    assert (
        resolve_latest(f"tfrecord:{store.url}/latest/*.tfrecord")
        == f"tfrecord:{store.url}/{newest}/*.tfrecord"
    )
    assert resolve_latest(f"tfrecord:{store.url}/latest/") == f"tfrecord:{store.url}/{newest}/"
    assert resolve_latest(f"tfrecord:{store.url}/latest") == f"tfrecord:{store.url}/{newest}"


def test_a_folder_of_that_name_is_used_as_it_is(store):
    folders(store.url, "2026-11-01", "latest")
    source = f"tfrecord:{store.url}/latest/*.tfrecord"
    assert resolve_latest(source) == source


def test_a_link_of_that_name_is_followed_once(tmp_path):
    folders(tmp_path, "a", "b")
    (tmp_path / "latest").symlink_to("a")
    assert resolve_latest(f"images:{tmp_path}/latest") == f"images:{(tmp_path / 'a').resolve()}"


@pytest.mark.parametrize("kind", ["images", "idx", "npz", "tfrecord"])
def test_any_kind_and_any_place_on_the_way(tmp_path, kind, monkeypatch):
    folders(tmp_path, "1/x", "2/2026-01-01", "2/2026-02-01")
    whole = f"{kind}:{tmp_path}/latest/latest/images.npz"
    assert resolve_latest(whole) == f"{kind}:{tmp_path}/2/2026-02-01/images.npz"
    monkeypatch.chdir(tmp_path)
    assert resolve_latest(f"{kind}:latest/x") == f"{kind}:2/x"
    assert resolve_latest(f"{kind}:2/latest/x") == f"{kind}:2/2026-02-01/x"


@pytest.mark.parametrize(
    "source",
    ["digits", "keras:mnist", "images:/data/the-latest/x", "npz:/data/latest.npz", "tfrecord:gs://latest/x/"],
)
def test_other_sources_stay_as_they_are(source):
    assert not names_latest(source) and resolve_latest(source) == source


def test_nothing_that_it_could_stand_for_is_told_in_a_line(store):
    folders(store.url, "_tmp")
    source = f"tfrecord:{store.url}/latest/*.tfrecord"
    with pytest.raises(DataError) as refusal:
        resolve_latest(source)
    assert source in str(refusal.value) and "no folder 'latest'" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(days=st.lists(st.dates(datetime.date(1000, 1, 1)), min_size=1, max_size=5, unique=True))
def test_dated_folders_sort_as_dates(days, tmp_path_factory):
    root = tmp_path_factory.mktemp("dated")
    for form in ("%Y-%m-%d", "%Y%m%d"):
        for day in days:
            (root / form / day.strftime(form)).mkdir(parents=True)
        assert resolve_latest(f"images:{root}/{form}/latest") == f"images:{root}/{form}/{max(days):{form}}"
