"""Downloads: ours against google-cloud-storage, one by one and many at once; memory and how many objects.

``python -m bench.download ours|theirs|manager BUCKET`` is a contestant; `download` is the referee. The server
is the real fake-gcs-server with its objects in memory, on the same cores as the contestants.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.contestant import Contestant, Group, serve, usable_cpus
from bench.report import Goal, Section, table
from bench.rounds import ratios, ready, spread
from bench.setting import Setting

_LARGE, _SMALL = 1_000_000, 1_000  # bytes of one object
_WHY = (
    "Server, client and file system share the cores: working in parallel gains at most their number, and the "
    "rest must come from what the client saves for each object. Writing the files costs both contestants the "
    "same."
)
_GROWTH_MIB = 5.0  # a second page of the listing beside the first, and the names of 9,000 files more


def download(setting: Setting) -> Section:
    """Speed with 1 GB in 1,000 objects, memory with 1,000 and 10,000 small ones."""
    large, many = setting.amount(1000, 100), (setting.amount(1000, 100), setting.amount(10_000, 1000))
    with server() as fill:
        fill("large", large, _LARGE)
        for count in many:
            fill(f"small-{count}", count, _SMALL)
        times = _speed(setting)
        peaks = [_memory(setting, f"small-{count}") for count in many]
    ratio, many_at_once = (ratios(times[name], times["ours"]) for name in ("theirs", "manager"))
    goals = [
        Goal(
            f"download of {large / 1000:.1f} GB in {large:,} objects, against the client library one by one",
            "at least 3 times", ratio.text(), ratio.middle >= 3, _WHY,
        ),
        Goal(
            "the same, against the client library's transfer_manager",
            "more than 1.2 times, or ours would go", many_at_once.text(), many_at_once.middle > 1.2,
            "Listing is in its time too, as it takes names; it resumes nothing and replaces no file whole.",
        ),
        Goal(
            f"peak memory that a download adds to a process, {many[1]:,} against {many[0]:,} objects",
            "no growth", f"{peaks[1]:.1f} against {peaks[0]:.1f} MiB", peaks[1] - peaks[0] < _GROWTH_MIB,
            "The listing is streamed, at most two pages of 500 in memory; what grows is the list of names.",
        ),
    ]  # fmt: skip
    text = (
        "Every round fills an empty folder. *One by one* is the loop over `list_blobs` that calls "
        "`blob.download_to_filename`; the manager is `transfer_manager.download_many_to_path`, 8 threads; "
        "ours is `download_files` with its 2 to 8 threads, which also compares the crc32c, writes under "
        "another name first and can be resumed. The server (fake-gcs-server, objects in memory) works on the "
        "same two cores, so its own time bounds the ratio."
    )
    rows = [
        (name, spread(taken).text(), f"{large * _LARGE / 1e6 / spread(taken).middle:,.0f}")
        for name, taken in times.items()
    ]
    return Section("Downloads", text, goals, [table(("contestant", "seconds", "MB/s"), rows)])


def _speed(setting: Setting) -> dict[str, list[float]]:
    contestants = {
        name: Contestant("bench.download", (name, "large", setting.scratch), cpus=usable_cpus()[:2])
        for name in ("theirs", "manager", "ours")
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    with ready(contestants):
        for number in range(setting.amount(5, 2)):
            for name, it in list(contestants.items())[:: -1 if number % 2 else 1]:
                times[name].append(Group([it]).run(1))
                # Else the disk would be busy with the files of one in the turn of the other.
                Group([it], "empty").run(1)
    return times


def _memory(setting: Setting, bucket: str) -> float:
    """Peak of resident memory in one download, over what the process had when it was ready, in MiB."""
    contestant = Contestant("bench.download", ("ours", bucket, setting.scratch), cpus=usable_cpus()[:2])
    with ready({bucket: contestant}):
        Group([contestant]).run(1)
        return contestant.peak_mib - float(contestant.about["rss_mib"])


@contextmanager
def server() -> Iterator[Callable[[str, int, int], None]]:
    """A server that the contestants find by the environment; the function fills a new bucket of it."""
    from tests.support.gcs import GcsServer

    server = GcsServer()
    server.start()
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    os.environ["STORAGE_EMULATOR_HOST"] = server.url
    try:
        yield _fill
    finally:
        os.environ.pop("STORAGE_EMULATOR_HOST")
        if before is not None:
            os.environ["STORAGE_EMULATOR_HOST"] = before
        server.stop()


def _fill(bucket: str, count: int, size: int) -> None:
    from google.cloud import storage

    from trainer.storage import open_store

    storage.Client(project=None).create_bucket(bucket)
    store, content = open_store(f"gs://{bucket}"), os.urandom(size)
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda number: store.write(f"samples/{number}.png", content), range(count)):
            pass


def _ours(bucket: str) -> Callable[[Path], object]:
    from launcher.artifacts import download_files
    from trainer.storage import open_store

    store = open_store(f"gs://{bucket}")
    store.stat("samples/0.png")
    return lambda to: download_files(store, to)


def _theirs(bucket: str) -> Callable[[Path], object]:
    from google.cloud import storage

    client = storage.Client(project=None)
    client.bucket(bucket).get_blob("samples/0.png")

    def run(to: Path) -> None:
        (to / "samples").mkdir()
        for blob in client.list_blobs(bucket):
            blob.download_to_filename(to / blob.name)

    return run


def _manager(bucket: str) -> Callable[[Path], object]:
    from google.cloud import storage
    from google.cloud.storage import transfer_manager

    client = storage.Client(project=None)
    client.bucket(bucket).get_blob("samples/0.png")

    def run(to: Path) -> None:
        names = [blob.name for blob in client.list_blobs(bucket)]
        transfer_manager.download_many_to_path(
            client.bucket(bucket),
            names,
            destination_directory=str(to),
            worker_type=transfer_manager.THREAD,
            max_workers=8,
            raise_exception=True,
        )

    return run


def main() -> None:
    """Serve as a contestant; a step is a whole download into an empty folder."""
    who, bucket, scratch = sys.argv[1:]
    fetch = {"ours": _ours, "theirs": _theirs, "manager": _manager}[who](bucket)
    folders: list[Path] = []

    def run(count: int) -> None:
        for _ in range(count):
            folders.append(Path(tempfile.mkdtemp(dir=scratch)))
            fetch(folders[-1])

    def empty(count: int) -> None:
        """Give the disk's blocks back and keep the files: ext4 looks long for inodes not deleted just now."""
        for path in folders.pop().rglob("*.png"):
            os.truncate(path, 0)

    pages = int(Path("/proc/self/statm").read_text().split()[1])
    rss_mib = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    serve({"run": run, "empty": empty}, {"rss_mib": rss_mib})


if __name__ == "__main__":
    main()
