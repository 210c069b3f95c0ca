"""Downloads from a real bucket: what is taken, what is left alone, and what a cut leaves behind."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from launcher.artifacts import download_files, list_files
from launcher.artifacts.paths import UNFINISHED, part_path
from launcher.errors import SpecError
from tests.launcher.waiting import wait_until
from trainer.errors import AccessError, StorageError
from trainer.storage import open_store
from trainer.storage.base import PART_BYTES

BIG = 3 * PART_BYTES + 5
FILES = {
    "run.json": b"{}",
    "checkpoints/10/manifest.json": b"m10",
    "checkpoints/10/state": b"s10",
    "checkpoints/20/manifest.json": b"m20",
    "checkpoints/20/state": b"s20!",
    "checkpoints/30/state": b"half of one",
    "samples/10.png": b"g10",
    "samples/25.png": b"g25",
    "samples/9.png": b"g9",
    "metrics/1.jsonl": b"{}\n",
    "logs/1/worker-0.log": b"line\n",
    "export/loss.png": b"",
}


def fill(store, files=None):
    for name, content in (files or FILES).items():
        store.write(name, content)
    return store


@pytest.fixture
def full(store):
    """A run in a store of each kind."""
    return fill(store)


@pytest.fixture
def bucket(gcs_root):
    """An empty store in the bucket, without the proxy between."""
    return open_store(gcs_root)


@pytest.fixture
def shaky(bucket, gcs_root, gcs_proxy):
    """The same store through the proxy."""
    return open_store(gcs_root)


def content_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(UNFINISHED)
    }


def unfinished(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(UNFINISHED)]


def taken(names):
    return {name: FILES[name] for name in names.split()}


@pytest.mark.parametrize("jobs", [1, 8])
def test_everything_but_an_unfinished_checkpoint_comes_home(full, tmp_path, jobs):
    expected = {name: content for name, content in FILES.items() if "/30/" not in name}
    counted = []
    done = download_files(full, tmp_path / "out", jobs=jobs, advance=lambda *args: counted.append(args))
    assert content_of(tmp_path / "out") == expected
    assert sorted(done.copied) == sorted(expected)
    assert done.left_out == ["checkpoints/30/"]
    total = sum(map(len, expected.values()))
    assert done.bytes == done.received == sum(count for count, _ in counted) == total
    assert {whole for _, whole in counted} == {total}
    again = download_files(full, tmp_path / "out", jobs=jobs)
    assert (again.copied, again.received, sorted(again.unchanged)) == ([], 0, sorted(expected))
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"step": 10}, "checkpoints/10/manifest.json checkpoints/10/state samples/10.png"),
        ({"step": 20}, "checkpoints/20/manifest.json checkpoints/20/state"),
        ({"step": 25}, "samples/25.png"),
        ({"step": 10, "only": ["samples"]}, "samples/10.png"),
        (
            {"latest": True},
            "checkpoints/20/manifest.json checkpoints/20/state samples/25.png export/loss.png "
            "metrics/1.jsonl run.json",
        ),
        ({"latest": True, "only": ["samples", "logs"]}, "samples/25.png"),
        ({"only": ["run.json", "metrics"]}, "run.json metrics/1.jsonl"),
    ],
)
def test_what_is_asked_for_is_taken(full, tmp_path, choice, names):
    sizes = []
    download_files(
        full, tmp_path / "out", **choice, advance=lambda count, total: sizes.append((count, total))
    )
    assert content_of(tmp_path / "out") == taken(names)
    assert {total for _, total in sizes} == {sum(count for count, _ in sizes)}


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"only": ["sample"]}, "--only sample: the run has none; it has checkpoints, export, logs"),
        (
            {"step": 30},
            "--step 30: the run has an unfinished checkpoint and no grid of that step; complete: 10, 20",
        ),
        ({"step": 7}, "--step 7: the run has no checkpoint and no grid"),
        ({"step": 25, "only": ["checkpoints"]}, "--step 25: the run has no checkpoint of that step"),
        ({"step": 10, "latest": True}, "--step 10 and --latest: expected one"),
        (
            {"latest": True, "only": ["logs"]},
            "--latest with --only logs: expected some of best.json, checkpoints",
        ),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(full, tmp_path, choice, words):
    with pytest.raises(SpecError) as caught:
        download_files(full, tmp_path / "out", **choice)
    assert str(caught.value).startswith(words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("choice", [{"latest": True}, {"step": 25}, {"step": 10, "only": ["samples"]}])
def test_real_images_come_with_the_grid_of_a_step_and_views_with_nothing(bucket, tmp_path, choice):
    fill(bucket)
    before = set(download_files(bucket, tmp_path / "before", **choice).copied)
    fill(bucket, {"samples/0.png": b"g0", "samples/real.png": b"real", "views/report.html": b"page"})
    told = []

    done = download_files(bucket, tmp_path / "out", advance=lambda *counted: told.append(counted), **choice)

    assert set(done.copied) == before | {"samples/real.png"}
    assert {total for _, total in told} == {done.bytes}
    assert "views/report.html" not in [found.name for found in list_files(bucket)]
    with pytest.raises(SpecError, match="--only views: the run has none"):
        list_files(bucket, ["views"])


def test_a_run_that_has_just_begun_has_no_latest_checkpoint(bucket, tmp_path):
    fill(bucket, {"run.json": b"{}", "checkpoints/5/state": b"half"})
    assert download_files(bucket, tmp_path / "out", latest=True).copied == ["run.json"]


def test_the_manifest_of_a_checkpoint_comes_last(bucket, tmp_path):
    fill(bucket)
    done = download_files(bucket, tmp_path / "out", ["checkpoints"])
    assert sorted(done.copied[-2:]) == ["checkpoints/10/manifest.json", "checkpoints/20/manifest.json"]


def test_a_list_is_of_everything_without_reading_any_of_it(shaky, gcs_proxy):
    fill(shaky)
    before = len(gcs_proxy.seen("GET"))
    assert {found.name: found.size for found in list_files(shaky)} == {
        name: len(content) for name, content in FILES.items()
    }
    assert len(gcs_proxy.seen("GET")) == before + 1


def test_a_second_call_asks_for_nothing_but_the_listing(shaky, gcs_proxy, tmp_path):
    fill(shaky)
    download_files(shaky, tmp_path / "out")
    shaky.write("samples/9.png", b"new")
    (tmp_path / "out/run.json").write_bytes(b"[]")  # of the same size
    (tmp_path / "out/mine.txt").write_bytes(b"kept")
    before = len(gcs_proxy.seen("GET"))
    done = download_files(shaky, tmp_path / "out")
    assert sorted(done.copied) == ["run.json", "samples/9.png"]
    assert len(gcs_proxy.seen("GET")) == before + 3
    assert content_of(tmp_path / "out")["samples/9.png"] == b"new"
    assert (tmp_path / "out/run.json").read_bytes() == b"{}"
    assert (tmp_path / "out/mine.txt").read_bytes() == b"kept"


def test_a_long_listing_is_not_kept(store, tmp_path, monkeypatch):
    monkeypatch.setattr("launcher.artifacts.listing._KEPT", 3)
    download_files(fill(store), tmp_path / "out")
    assert len(content_of(tmp_path / "out")) == len(FILES) - 1


def ranges(proxy):
    """Requests for content."""
    return [request for request in proxy.seen("GET") if "alt=media" in request.path]


def test_a_refusal_in_the_middle_leaves_a_part_that_is_resumed(bucket, shaky, gcs_proxy, tmp_path):
    big = os.urandom(BIG)
    bucket.write("export/big", big)
    gcs_proxy.answer(403, method="GET", contains="alt=media", skip=2)
    with pytest.raises(AccessError, match=r"storage\.objects\.get"):
        download_files(shaky, tmp_path / "out")
    assert content_of(tmp_path) == {}
    (part,) = unfinished(tmp_path)
    assert part.read_bytes() == big[: 2 * PART_BYTES]
    before = len(ranges(gcs_proxy))
    done = download_files(shaky, tmp_path / "out")
    assert (done.copied, done.bytes, done.received) == (["export/big"], BIG, BIG - 2 * PART_BYTES)
    assert len(ranges(gcs_proxy)) == before + 2
    assert content_of(tmp_path / "out") == {"export/big": big}
    assert unfinished(tmp_path) == []


def test_a_part_of_an_object_that_changed_begins_anew(bucket, tmp_path):
    bucket.write("export/big", b"old" * 1000)
    target = tmp_path / "out/export/big"
    target.parent.mkdir(parents=True)
    old = part_path(target, bucket.stat("export/big").generation)
    old.write_bytes(b"old" * 500)
    part_path(target.with_name("other"), 5).write_bytes(b"of an object that nobody asked for")
    bucket.write("export/big", b"new" * 1000)
    done = download_files(bucket, tmp_path / "out")
    assert done.received == 3000
    assert target.read_bytes() == b"new" * 1000
    assert [path.name for path in unfinished(tmp_path)] == [".unfinished-5-other"]


@pytest.mark.parametrize("left", [b"x" * 1500, b"x" * 3000, b"x" * 4000, b""])
def test_a_damaged_part_is_found_out_by_its_sum(bucket, tmp_path, left):
    bucket.write("export/big", b"new" * 1000)
    target = tmp_path / "out/export/big"
    target.parent.mkdir(parents=True)
    part_path(target, bucket.stat("export/big").generation).write_bytes(left)
    counted = []
    done = download_files(bucket, tmp_path / "out", advance=lambda count, _: counted.append(count))
    assert done.copied == ["export/big"]
    assert sum(counted) == 3000
    assert content_of(tmp_path / "out") == {"export/big": b"new" * 1000}
    assert unfinished(tmp_path) == []


def test_an_object_replaced_since_the_listing_comes_as_it_is_now(bucket, tmp_path):
    fill(bucket, {"status.json": b"old", "a.json": b"first"})

    def replace(count, total):
        if bucket.read("status.json") == b"old":  # while a.json comes, which is the first
            bucket.write("status.json", b"newer")

    done = download_files(bucket, tmp_path / "out", advance=replace, jobs=1)
    assert content_of(tmp_path / "out") == {"status.json": b"newer", "a.json": b"first"}
    assert sorted(done.copied) == ["a.json", "status.json"]


def test_an_object_removed_since_the_listing_is_told(full, tmp_path):
    def remove(count, total):
        full.delete("samples/9.png")

    done = download_files(full, tmp_path / "out", ["samples"], advance=remove, jobs=1)
    assert (done.copied, done.gone) == (["samples/10.png", "samples/25.png"], ["samples/9.png"])
    assert unfinished(tmp_path) == []


def test_content_damaged_on_its_way_is_asked_for_again(bucket, shaky, gcs_proxy, tmp_path):
    bucket.write("a", b"content")
    gcs_proxy.damage(method="GET", contains="alt=media")
    download_files(shaky, tmp_path / "out")
    assert content_of(tmp_path / "out") == {"a": b"content"}


def test_content_always_damaged_is_an_error_and_leaves_what_was_there(bucket, shaky, gcs_proxy, tmp_path):
    bucket.write("a", b"content")
    (tmp_path / "a").write_bytes(b"before")
    gcs_proxy.damage(method="GET", contains="alt=media", times=50)
    with pytest.raises(StorageError, match="a: changed or arrived damaged"):
        download_files(shaky, tmp_path)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"before")]


def test_an_overloaded_service_is_waited_out(bucket, shaky, gcs_proxy, tmp_path):
    fill(bucket)
    gcs_proxy.answer(503, method="GET", contains="alt=media", times=2)
    gcs_proxy.drop_answer(method="GET", contains="alt=media", times=1)
    assert len(download_files(shaky, tmp_path / "out").copied) == len(FILES) - 1


class Cutter:
    """Passes connections on to a server and cuts the first that answers more than `limit` bytes."""

    def __init__(self, upstream, limit):
        self._upstream, self._limit = urlsplit(upstream), limit
        self._server = socket.create_server(("127.0.0.1", 0))
        self.cut = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._server.close()

    def _serve(self):
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection((self._upstream.hostname, self._upstream.port))
                for one, other, counts in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass, args=(one, other, counts), daemon=True).start()

    def _pass(self, one, other, counts):
        passed = 0
        with suppress(OSError):
            while content := one.recv(1 << 16):
                passed += len(content)
                if counts and passed > self._limit and not self.cut.is_set():
                    self.cut.set()
                    break
                other.sendall(content)
        for side in (one, other):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("size", [2 * PART_BYTES, PART_BYTES])
def test_a_connection_cut_in_the_middle_of_an_answer_is_taken_up_again(
    bucket, gcs_root, gcs_server, tmp_path, monkeypatch, size
):
    big = os.urandom(size)
    bucket.write("export/big", big)
    cutter = Cutter(gcs_server.url, size * 3 // 4)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cutter.url)
    try:
        done = download_files(open_store(gcs_root), tmp_path / "out")
    finally:
        cutter.close()
    assert cutter.cut.is_set()
    assert (done.copied, done.received) == (["export/big"], len(big))
    assert content_of(tmp_path / "out") == {"export/big": big}


SCRIPT = """
import sys
from pathlib import Path
from launcher.artifacts import download_files
from trainer.storage import open_store
download_files(open_store(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_download_that_is_killed_is_resumed(bucket, gcs_root, gcs_proxy, tmp_path, sent):
    big = os.urandom(BIG)
    bucket.write("export/big", big)
    bucket.write("export/little", b"little")
    held = gcs_proxy.hold(method="GET", contains="export/big", skip=2)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, gcs_root, str(tmp_path / "out")], stderr=subprocess.DEVNULL
    )
    assert held.reached.wait(60)
    wait_until((tmp_path / "out/export/little").exists, "the little file")
    process.send_signal(sent)
    assert process.wait(30) != 0  # although one of its threads still waits for an answer
    assert content_of(tmp_path / "out") == {"export/little": b"little"}
    assert unfinished(tmp_path)[0].stat().st_size == 2 * PART_BYTES
    done = download_files(bucket, tmp_path / "out")
    assert (done.copied, done.unchanged) == (["export/big"], ["export/little"])
    assert done.received == BIG - 2 * PART_BYTES
    assert content_of(tmp_path / "out") == {"export/big": big, "export/little": b"little"}


def test_two_downloads_into_one_folder_do_not_mix(bucket, shaky, gcs_proxy, tmp_path):
    bucket.write("a", b"content")
    held = gcs_proxy.hold(method="GET", contains="alt=media")
    first = threading.Thread(target=download_files, args=(shaky, tmp_path))
    first.start()
    assert held.reached.wait(30)
    with pytest.raises(AccessError, match="another download is writing"):
        download_files(bucket, tmp_path)
    held.release()
    first.join(30)
    assert content_of(tmp_path) == {"a": b"content"}


def test_the_json_of_a_download(past_run, root, launcher, tmp_path):
    past_run(files=("samples/20.png", "checkpoints/20/state"))
    done = launcher("artifacts", "download", "past", "--root", root, "--to", tmp_path / "out", "-o", "json")
    report = json.loads(done.stdout)
    assert report["left_out"] == ["checkpoints/20/"]
    assert report["received"] == report["bytes"]
    assert done.stderr == "left out, as no manifest says that they are complete: checkpoints/20/\n"
    again = launcher("artifacts", "download", "past", "--root", root, "--to", tmp_path / "out", "-q")
    assert (again.stdout, again.stderr) == (f"0 files copied to {tmp_path}/out (0 B), 3 unchanged\n", "")
    table = launcher("artifacts", "list", "past", "--root", root, "--only", "samples").stdout.splitlines()
    assert table[0].split() == ["name", "size", "updated"]
    assert table[1].split()[:3] == ["samples/20.png", "140", "B"]


@pytest.mark.parametrize(
    ("options", "shown"), [([], True), (["-q"], False), (["-o", "json"], False), (["-o", "yaml"], False)]
)
def test_the_bar_is_for_people_at_a_terminal(past_run, root, tmp_path, options, shown):
    past_run(files=("samples/20.png",))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "launcher", "artifacts", "download", "past", "--root", root]
    done = subprocess.run(
        [*command, "--to", str(tmp_path / "out"), *options],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"},
        timeout=120,
        check=True,
    )
    os.close(theirs)
    drawn = b""
    with suppress(OSError):  # how the kernel says that the other side is closed
        while piece := os.read(ours, 1 << 16):
            drawn += piece
    os.close(ours)
    assert (b"past" in drawn) is shown
    assert not re.search(rb"\x1b\[[0-9;]*[34][0-7]", drawn)  # NO_COLOR
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--step 7", "--step 7: the run has no checkpoint"),
        ("--only sample", "--only sample: the run has none; it has"),
        ("--step 7 --latest", "expected one of the two"),
        ("--jobs 0", "--jobs"),
        ("--step -1", "--step"),
    ],
)
def test_a_mistake_in_the_options_is_one_line(past_run, root, launcher, tmp_path, options, words):
    past_run(files=("samples/20.png",))
    done = launcher(
        "artifacts", "download", "past", "--root", root, "--to", tmp_path / "out", *options.split()
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
    assert not (tmp_path / "out").exists()
