"""Addresses, folders and buckets that cannot work: one line that says what to mend, and nothing lost."""

import os
import subprocess
from pathlib import Path

import pytest

from trainer.errors import AccessError, DiskReadOnly, PreconditionFailed, StorageError
from trainer.storage import open_store


def _mount(folder, options: str) -> None:
    if os.geteuid():
        pytest.skip("mounting a small file system needs root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"mounting a small file system is not permitted: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    _mount(folder, "size=256k")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def read_only(small_disk):
    """A store with one object on a disk that was then made read-only."""
    open_store(str(small_disk / "root")).write("a", b"content")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    return open_store(str(small_disk / "root"))


def refused(call, *words: str) -> str:
    """The text of the `AccessError` that a call raises: one line that holds all words."""
    with pytest.raises(AccessError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text
    return text


@pytest.mark.parametrize("url", ["s3://bucket/x", "http://host/x", "gs:///x", "gs://"])
def test_an_address_that_no_store_has_is_refused_with_what_is_expected(url):
    refused(lambda: open_store(url), url, "expected", "gs://<bucket>/<prefix>")


@pytest.mark.parametrize("bucket", ["Bad_Name^", "-a", "a."])
def test_a_name_that_no_bucket_can_have_is_refused(gcs_server, bucket):
    refused(lambda: open_store(f"gs://{bucket}/x").check(), bucket)


def test_an_absent_bucket_is_the_users_to_mend(gcs_server):
    store = open_store("gs://no-such-bucket/x")
    for call in (
        store.check,
        lambda: store.write("a", b""),
        lambda: [*store.list()],
        lambda: [*store.folders()],
    ):
        refused(call, "bucket 'no-such-bucket' does not exist")


def test_a_root_below_a_file_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
        store = open_store(str(root))
        refused(store.check, "is a file, expected a folder")
        refused(lambda store=store: store.write("a", b""), str(root))
        assert [*store.list()] == []
        assert [*store.folders()] == []
        assert store.stat("a") is None
        store.delete("a")


def test_an_object_below_another_is_refused_by_a_folder_and_leaves_both_sides(tmp_path):
    store = open_store(str(tmp_path))
    store.write("a", b"1")
    store.write("b/c", b"2")
    refused(lambda: store.write("a/x", b""), "a/x")
    refused(lambda: store.write("b", b""), "b")
    assert [(found.name, store.read(found.name)) for found in store.list()] == [("a", b"1"), ("b/c", b"2")]


def test_a_root_that_is_not_there_yet_can_be_checked_and_is_not_made(tmp_path):
    open_store(str(tmp_path / "a" / "b")).check()
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_root_is_read_and_refuses_the_rest(read_only, tmp_path):
    refused(read_only.check, "is not writable")
    for name, change in (
        ("a", lambda: read_only.write("a", b"new")),
        ("x/b", lambda: read_only.write("x/b", b"new")),
        ("a", lambda: read_only.delete("a")),
    ):
        with pytest.raises(DiskReadOnly, match=f"/{name}: read-only file system "):
            change()
    read_only.download("a", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == read_only.read("a") == b"content"


def test_a_folder_that_cannot_take_files_is_refused():
    if not Path("/proc/self").is_dir():
        pytest.skip("there is no /proc")
    refused(lambda: open_store("/proc").write("gantry/a", b""), "/proc/gantry/a")


def test_a_full_disk_is_a_failure_of_storage_and_leaves_what_was_there(small_disk, tmp_path):
    store = open_store(str(small_disk))
    generation = store.write("a", b"o" * 100_000)
    (tmp_path / "file").write_bytes(bytes(300_000))
    for call in (
        lambda: store.write("a", bytes(300_000)),
        lambda: store.write("x/b", bytes(300_000), if_generation=0),
        lambda: store.upload("a", tmp_path / "file", if_generation=generation),
    ):
        with pytest.raises(StorageError, match="no space left") as caught:
            call()
        assert not isinstance(caught.value, PreconditionFailed)
    assert store.read("a") == b"o" * 100_000
    assert store.stat("a").generation == generation
    assert [path.name for path in small_disk.rglob("*")] == ["a"]
    store.write("a", b"n" * 100_000)


def test_a_full_disk_refuses_a_download_and_leaves_the_file_that_was_there(small_disk, store, tmp_path):
    store.write("a", bytes(300_000))
    (small_disk / "a").write_bytes(b"before")
    with pytest.raises(StorageError, match=r"(?i)no space left"):
        store.download("a", small_disk / "a")
    assert [(path.name, path.read_bytes()) for path in small_disk.iterdir()] == [("a", b"before")]


@pytest.mark.parametrize(
    ("method", "call", "permission"),
    [
        ("GET", lambda store: store.check(), "storage.objects.list"),
        ("GET", lambda store: [*store.list()], "storage.objects.list"),
        ("GET", lambda store: [*store.folders()], "storage.objects.list"),
        ("GET", lambda store: store.read("a"), "storage.objects.get"),
        ("GET", lambda store: store.stat("a"), "storage.objects.get"),
        ("POST", lambda store: store.write("a", b""), "storage.objects.create"),
        ("DELETE", lambda store: store.delete("a"), "storage.objects.delete"),
    ],
    ids=["check", "list", "folders", "read", "stat", "write", "delete"],
)
def test_a_bucket_that_refuses_names_the_permission(gcs_root, gcs_proxy, method, call, permission):
    store = open_store(gcs_root)
    gcs_proxy.answer(403, method=method, times=None)
    refused(lambda: call(store), gcs_root, "bucket 'runs' refuses", permission)
    # Asked once: a refusal is not retried. The library may ask for the bucket itself besides.
    assert len(gcs_proxy.seen(method, "/b/runs/o")) == 1


def test_an_unknown_kind_of_refusal_is_one_line_too(gcs_root, gcs_proxy):
    gcs_proxy.answer(400, times=None)
    with pytest.raises(StorageError) as caught:
        open_store(gcs_root).write("a", b"")
    assert "\n" not in str(caught.value)


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    """No emulator, no key file, no gcloud login, and no metadata server to wait for."""
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def test_a_bucket_without_credentials_says_how_to_get_some(no_credentials):
    refused(lambda: open_store("gs://bucket/x"), "gs://bucket", "gcloud auth application-default login")


@pytest.mark.parametrize("content", [None, "", "{}", "not json"])
def test_a_key_file_that_is_none_is_refused(no_credentials, monkeypatch, tmp_path, content):
    if content is not None:
        (tmp_path / "key.json").write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    refused(lambda: open_store("gs://bucket/x"), "GOOGLE_APPLICATION_CREDENTIALS")
