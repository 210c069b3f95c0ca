"""What every store promises, asked of a folder and of a bucket.

The server that stands in for Cloud Storage checks no preconditions on resumable uploads (above 8 MiB) and on
deletes: conditional uploads are asked of small objects only, conditional deletes of a bucket behind a proxy.
"""

import gzip
import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.errors import AccessError, ObjectMissing, PreconditionFailed
from trainer.storage import LocalStore, check_name, crc32c, open_store
from trainer.storage.base import PART_BYTES

each_store = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])

REFUSED = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    "a\\b",
    "a\0b",
    ".unfinished-a",
    "a/.unfinished-",
]


@each_store
@given(content=st.binary(max_size=300))
def test_what_is_written_is_read(store, content):
    store.write("a/b.bin", content)
    assert store.read("a/b.bin") == content
    assert store.stat("a/b.bin").size == len(content)


@each_store
@given(content=st.binary(max_size=20), start=st.integers(0, 25), length=st.none() | st.integers(0, 25))
def test_a_range_is_a_slice_even_past_the_end(store, content, start, length):
    store.write("ranges", content)
    expected = content[start:] if length is None else content[start : start + length]
    assert store.read("ranges", start, length) == expected


@pytest.mark.parametrize(
    "name", ["a", "a b", "ü/ß.txt", "100%25", "a?b#c&d=e", "a+b", "x" * 200, "-", "...", "~"]
)
def test_any_decent_name_goes_round(store, name):
    generation = store.write(name, name.encode())
    assert store.read(name) == name.encode()
    assert store.stat(name).generation == generation
    assert [found.name for found in store.list()] == [name]
    store.delete(name)
    assert list(store.list()) == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_could_leave_the_store_is_refused_by_every_call(store, name, tmp_path):
    there = tmp_path / "file"
    there.write_bytes(b"x")
    calls = [
        lambda: store.read(name),
        lambda: store.write(name, b""),
        lambda: store.upload(name, there),
        lambda: store.download(name, tmp_path / "out"),
        lambda: store.stat(name),
        lambda: store.delete(name),
    ]
    for call in calls:
        with pytest.raises(AccessError, match="expected relative parts"):
            call()


@pytest.mark.parametrize("prefix", ["../", "/", "a//", "a/../", "./"])
def test_a_prefix_that_could_leave_the_store_is_refused(store, prefix):
    with pytest.raises(AccessError):
        list(store.list(prefix))
    with pytest.raises(AccessError):
        list(store.folders(prefix))


def test_a_folder_is_named_with_a_slash_at_its_end(store):
    with pytest.raises(AccessError, match="slash at its end"):
        list(store.folders("a"))


def test_names_are_checked_without_a_store():
    assert check_name("a/b.c") == "a/b.c"


def test_every_overwrite_has_a_new_generation(store):
    generations = [store.write("a", b"%d" % (i % 2)) for i in range(20)]
    assert len(set(generations)) == 20
    assert store.stat("a").generation == generations[-1]


def test_a_folder_tells_writes_apart_when_the_kernels_clock_stands_still(tmp_path, monkeypatch):
    """Kernels before 6.13 stamp files with a tick of some milliseconds, and inodes are used again."""
    store, utime, stamps = LocalStore(tmp_path), os.utime, []

    def record(file, ns):
        stamps.append(ns[0])
        utime(file, ns=ns)

    monkeypatch.setattr(os, "utime", record)
    generations = [store.write("a", b"") for _ in range(50)]
    assert len(set(generations)) == 50
    assert (tmp_path / "a").stat().st_mtime_ns == stamps[-1]  # ours, not the kernel's


def test_generation_zero_means_that_nothing_is_there(store):
    generation = store.write("a", b"first", if_generation=0)
    with pytest.raises(PreconditionFailed, match="another writer"):
        store.write("a", b"second", if_generation=0)
    assert store.read("a") == b"first"
    assert store.stat("a").generation == generation


def test_a_write_at_the_present_generation_replaces_and_at_a_stale_one_leaves_all_as_it_was(store):
    old = store.write("a", b"1")
    new = store.write("a", b"2", if_generation=old)
    with pytest.raises(PreconditionFailed):
        store.write("a", b"3", if_generation=old)
    assert (store.read("a"), store.stat("a").generation) == (b"2", new)


def test_a_write_at_the_generation_of_a_deleted_object_changes_nothing(store):
    old = store.write("x/a", b"1")
    store.delete("x/a")
    with pytest.raises(PreconditionFailed):
        store.write("x/a", b"2", if_generation=old)
    assert store.stat("x/a") is None
    assert list(store.list()) == []
    assert list(store.folders()) == []
    store.write("x/a", b"3", if_generation=0)
    assert store.read("x/a") == b"3"


def test_a_conditional_upload_of_a_file_keeps_the_law_too(store, tmp_path):
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two")
    generation = store.upload("a", tmp_path / "one", if_generation=0)
    with pytest.raises(PreconditionFailed):
        store.upload("a", tmp_path / "two", if_generation=0)
    assert store.read("a") == b"one"
    store.upload("a", tmp_path / "two", if_generation=generation)
    assert store.read("a") == b"two"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1, (8 << 20) + 1, (9 << 20)])
def test_a_file_of_any_size_goes_up_and_down(store, tmp_path, size):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    generation = store.upload("big/file.bin", source)
    found = store.stat("big/file.bin")
    assert (found.size, found.generation) == (size, generation)
    target.write_bytes(b"to be replaced")
    store.download("big/file.bin", target)
    assert crc32c(target) == crc32c(source)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["source", "target"]


def test_crc32c_is_the_one_of_the_rfc_for_bytes_and_files(tmp_path):
    """RFC 3720, appendix B.4: 32 bytes of zeros give 8a9136aa, in the order of the wire aa 36 91 8a."""
    assert crc32c(bytes(32)) == "ipE2qg=="
    assert crc32c(b"123456789") == "4waSgw=="
    (tmp_path / "file").write_bytes(bytes(32))
    assert crc32c(tmp_path / "file") == "ipE2qg=="


def test_a_listing_is_by_prefix_and_sorted_by_name(store):
    names = ["b", "a/2", "a/10", "a-b", "a.b", "a/x/y", "ab"]
    for name in names:
        store.write(name, name.encode())
    assert [found.name for found in store.list()] == sorted(names)
    assert [found.name for found in store.list("a/")] == ["a/10", "a/2", "a/x/y"]
    assert [found.name for found in store.list("a/1")] == ["a/10"]
    assert [found.name for found in store.list("a")] == ["a-b", "a.b", "a/10", "a/2", "a/x/y", "ab"]
    assert list(store.list("nothing/")) == []
    for found in store.list():
        assert found == store.stat(found.name)
        assert found.size == len(found.name)


def test_a_bucket_knows_sums_without_reading_and_a_folder_does_not_pretend_to(store):
    store.write("a", b"content")
    for found in (store.stat("a"), *store.list()):
        assert found.crc32c == (None if isinstance(store, LocalStore) else crc32c(b"content"))


@pytest.mark.parametrize("size", [0, 1, 5000, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 7])
def test_parts_are_the_content_and_no_larger_than_promised(store, size):
    content = os.urandom(size)
    store.write("a", content)
    found = store.stat("a")
    for start in sorted({0, size // 2, max(0, size - 1), size}):
        parts = list(store.parts(found, start))
        assert b"".join(parts) == content[start:]
        assert all(0 < len(part) <= PART_BYTES for part in parts)


def test_parts_are_of_the_version_that_was_listed(store):
    store.write("a", b"old")
    old = store.stat("a")
    store.write("a", b"new")
    with pytest.raises(ObjectMissing):
        list(store.parts(old))
    store.delete("a")
    with pytest.raises(ObjectMissing):
        list(store.parts(old))


def test_parts_end_when_the_object_is_replaced_between_them(gcs_root):
    store = open_store(gcs_root)
    store.write("a", bytes(2 * PART_BYTES))
    parts, come = store.parts(store.stat("a")), 0
    with pytest.raises(ObjectMissing, match="was replaced meanwhile"):
        for part in parts:
            come += len(part)
            if come == PART_BYTES:
                store.write("a", b"new" * PART_BYTES)
    assert come == PART_BYTES


def test_parts_are_the_bytes_that_are_stored(gcs_root):
    """What says of itself that it is compressed is handed over as it is: size and sum are of that."""
    from google.cloud import storage

    bucket, prefix = gcs_root.removeprefix("gs://").split("/", 1)
    blob = storage.Client(project=None).bucket(bucket).blob(f"{prefix}/log")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(b"line\n" * 1000))
    store = open_store(gcs_root)
    found = store.stat("log")
    stored = b"".join(store.parts(found))
    assert (len(stored), crc32c(stored)) == (found.size, found.crc32c)
    assert gzip.decompress(stored) == b"line\n" * 1000


def test_as_many_connections_are_kept_as_a_download_has_threads(gcs_root, caplog):
    store = open_store(gcs_root)
    store.write("a", b"content")
    found, barrier = store.stat("a"), threading.Barrier(20)

    def read():
        barrier.wait()
        for _ in range(5):
            assert list(store.parts(found)) == [b"content"]

    threads = [threading.Thread(target=read) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "pool is full" not in caplog.text


def test_folders_are_those_directly_below(store):
    for name in ["top", "exp1/run/run.json", "exp1/run2/run.json", "exp2/x", "exp1/file"]:
        store.write(name, b"")
    assert list(store.folders()) == ["exp1", "exp2"]
    assert list(store.folders("exp1/")) == ["run", "run2"]
    assert list(store.folders("exp2/")) == []
    assert list(store.folders("nothing/")) == []


def test_an_empty_store_can_be_asked_anything(store):
    store.check()
    assert list(store.list()) == []
    assert list(store.folders()) == []
    assert store.stat("a") is None
    store.delete("a")


def test_a_deleted_object_is_gone_and_may_be_deleted_again(store):
    store.write("x/y/a", b"1")
    store.write("x/b", b"2")
    for _ in range(2):
        store.delete("x/y/a")
        assert store.stat("x/y/a") is None
        assert [found.name for found in store.list()] == ["x/b"]
        assert list(store.folders("x/")) == []


@pytest.fixture(params=["local", "gs"])
def strict(request, tmp_path):
    """An empty store of each kind; the bucket is behind the proxy, which checks conditions of deletes too."""
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    request.getfixturevalue("gcs_proxy")
    return open_store(request.getfixturevalue("gcs_root"))


def test_a_delete_at_the_present_generation_removes_and_at_another_one_leaves_all_as_it_was(strict):
    old = strict.write("x/a", b"1")
    new = strict.write("x/a", b"2")
    for stale in (old, new + 1):
        strict.delete("x/a", stale)
        assert (strict.read("x/a"), strict.stat("x/a").generation) == (b"2", new)
    strict.delete("x/a", new)
    assert strict.stat("x/a") is None and list(strict.folders()) == []


def test_a_delete_at_the_generation_of_an_object_that_is_gone_spares_its_successor(strict):
    listed = strict.write("x/a", b"1")
    strict.delete("x/a")
    for name in ("x/a", "x", "x/a/b"):  # what is not there may be deleted at any generation
        strict.delete(name, listed)
    new = strict.write("x/a", b"1")
    strict.delete("x/a", listed)
    assert (strict.read("x/a"), strict.stat("x/a").generation) == (b"1", new)


def test_of_deletes_beside_a_conditional_write_either_wins_whole(strict):
    """Whoever comes second finds another generation, or none."""
    for number in range(10):
        name = f"x/{number}"
        before = strict.write(name, b"before")

        def call(i, name=name, before=before):
            strict.delete(name, before) if i else strict.write(name, b"after", if_generation=before)

        written = 0 in _race(call)
        assert (strict.stat(name) is not None) == written
        assert not written or strict.read(name) == b"after"


def test_reading_what_is_missing_says_so_and_leaves_no_file(store, tmp_path):
    store.write("file", b"")
    store.write("folder/file", b"")
    for name in ["no", "no/no", "folder", "file/no"]:
        assert store.stat(name) is None
        store.delete(name)
        with pytest.raises(ObjectMissing, match=name):
            store.read(name)
        with pytest.raises(ObjectMissing, match=name):
            store.download(name, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if path.name != "store"] == []
    assert [found.name for found in store.list()] == ["file", "folder/file"]


def test_a_reader_sees_whole_versions_only(store, tmp_path):
    size, done, seen, broken = 200_000, threading.Event(), set(), []
    store.write("a", bytes(size))

    def poll():
        while not done.is_set():
            content = store.read("a")
            if len(content) != size or len(set(content)) != 1:
                broken.append(content[:1])
            seen.add(content[0])

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for version in range(1, 31):
            (tmp_path / "new").write_bytes(bytes([version]) * size)
            if version % 2:
                store.write("a", bytes([version]) * size)
            else:
                store.upload("a", tmp_path / "new")
    finally:
        done.set()
        reader.join()
    assert seen
    assert not broken
    assert store.read("a")[0] == 30


def test_of_several_writers_of_a_new_object_exactly_one_wins(store):
    for name in ["x/a", "x/b", "x/c"]:
        won = _race(lambda i, name=name: store.write(name, b"%d" % i, if_generation=0))
        assert len(won) == 1
        assert store.read(name) == b"%d" % won[0]


def test_of_several_writers_at_one_generation_exactly_one_wins(store):
    generation = store.write("a", b"before")
    won = _race(lambda i: store.write("a", b"%d" % i, if_generation=generation))
    assert len(won) == 1
    assert store.read("a") == b"%d" % won[0]


def test_deletes_beside_writes_in_the_same_folder_lose_no_write(store):
    """Deleting the last object of a folder removes the folder, which another writer may be about to use."""

    def churn(i):
        for _ in range(20):
            store.write(f"x/y/{i}", b"%d" % i)
            assert store.read(f"x/y/{i}") == b"%d" % i
            store.delete(f"x/y/{i}")

    assert _race(churn) == [0, 1, 2, 3]
    assert list(store.list()) == []


def _race(call) -> list[int]:
    """Call from four threads at once; which of them did not fail with `PreconditionFailed`."""
    start, won, failed = threading.Barrier(4), [], []

    def run(i):
        start.wait()
        try:
            call(i)
            won.append(i)
        except PreconditionFailed:
            pass
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    return sorted(won)


def test_what_a_writer_left_long_ago_goes_at_the_next_write_into_its_folder(tmp_path):
    store = LocalStore(tmp_path)
    store.write("a/b", b"1")
    old, fresh, elsewhere = (
        tmp_path / name for name in ("a/.unfinished-1", "a/.unfinished-2", ".unfinished-3")
    )
    for left in (old, fresh, elsewhere):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.write("a/c", b"2")
    assert (old.exists(), fresh.exists(), elsewhere.exists()) == (False, True, True)
    assert sorted(stat.name for stat in store.list()) == ["a/b", "a/c"]
