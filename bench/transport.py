"""Content of many small objects: our own requests against the client library's session and its blobs.

``python -m bench.transport ours|session|library BUCKET COUNT THREADS`` is a contestant, which reads `COUNT`
objects in a step; `transport` is the referee. Listing, looking up and writing are the library's in all three.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from bench.contestant import Contestant, Group, serve, usable_cpus
from bench.download import server
from bench.report import Goal, Section, table
from bench.rounds import Turn, play, ratios, ready, spread
from bench.setting import Setting

_BYTES = 1_000  # of one object, as a segment of metrics or a record has
_CONTESTANTS = ("library", "session", "ours")
_THREADS = (1, 8)


def transport(setting: Setting) -> Section:
    """Reads of 1 kB, by one thread and by eight."""
    count = setting.amount(500, 50)
    with server() as fill:
        fill("small", count, _BYTES)
        entries = {
            f"{who}, {threads} thread{'s' if threads > 1 else ''}": Contestant(
                "bench.transport", (who, "small", count, threads), cpus=usable_cpus()[:2]
            )
            for threads, who in product(_THREADS, _CONTESTANTS)
        }
        with ready(entries):
            turns = {name: Turn(Group([it]), 1) for name, it in entries.items()}
            times = play(turns, setting.amount(15, 2))
    goals = [_goal(times, who, "1 thread") for who in _CONTESTANTS[:-1]]
    goals += [_goal(times, who, "8 threads") for who in _CONTESTANTS[:-1]]
    text = (
        f"A step is the content of {count} objects of 1 kB, each with its crc32c compared and the library's "
        "policy of retries around it. *library* is `Blob.download_as_bytes`, *session* a GET by the client's "
        "own session, whose proxies and certificates are looked up once, *ours* `GcsStore.read`. The server "
        "(fake-gcs-server, objects in memory) works on the same two cores: its time is in all three."
    )
    rows = [(name, spread([1e3 * each / count for each in taken]).text()) for name, taken in times.items()]
    return Section("Small objects", text, goals, [table(("contestant", "ms an object"), rows)])


def _goal(times: dict[str, list[float]], who: str, threads: str) -> Goal:
    ratio = ratios(times[f"{who}, {threads}"], times[f"ours, {threads}"])
    return Goal(
        f"content of small objects by {threads}, against the {who}",
        "more than 1.2 times, or ours would go",
        ratio.text(),
        ratio.middle > 1.2,
        "Within 1.2 times, the library's would do.",
    )


def _ours(bucket: str) -> Callable[[str], bytes]:
    from trainer.storage import open_store

    return open_store(f"gs://{bucket}").read


def _session(bucket: str) -> Callable[[str], bytes]:
    """What would be in the place of ours: the shortest that still names errors and compares checksums."""
    from google.api_core import exceptions
    from google.cloud import storage
    from google.cloud.storage.retry import DEFAULT_RETRY

    from trainer.storage.base import crc32c
    from trainer.storage.transport import settle

    client = storage.Client(project=None)
    session = client._http
    settle(session, client.api_endpoint)
    media = f"{client.api_endpoint}/download/storage/v1/b/{bucket}/o"

    def get(name: str) -> bytes:
        answer = session.get(f"{media}/{name.replace('/', '%2F')}?alt=media", timeout=60)
        if answer.status_code != 200:
            raise exceptions.from_http_response(answer)
        content: bytes = answer.content
        if f"crc32c={crc32c(content)}" not in answer.headers["x-goog-hash"]:
            raise OSError(name)
        return content

    return DEFAULT_RETRY(get)


def _library(bucket: str) -> Callable[[str], bytes]:
    from google.cloud import storage

    found = storage.Client(project=None).bucket(bucket)
    return lambda name: found.blob(name).download_as_bytes(checksum="crc32c", timeout=60)


def main() -> None:
    """Serve as a contestant."""
    who, bucket, count, threads = sys.argv[1:]
    read = {"ours": _ours, "session": _session, "library": _library}[who](bucket)
    names = [f"samples/{number}.png" for number in range(int(count))]
    pool = ThreadPoolExecutor(int(threads))

    def run(steps: int) -> None:
        for _ in range(steps):
            got = map(read, names) if threads == "1" else pool.map(read, names)
            if any(len(content) != _BYTES for content in got):
                os._exit(1)

    run(1)  # connections are open and modules imported
    serve({"run": run})


if __name__ == "__main__":
    main()
