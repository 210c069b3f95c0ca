"""What is tried in a bucket and between pods; ``launcher doctor --deep`` sends this file into pods as it is.

There it needs the image's Python and `trainer.storage` alone, the same code through which a trainer reads and
writes. It prints a line of JSON for each thing that it tried.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from trainer.errors import GantryError, PreconditionFailed
from trainer.storage import Store, open_store

MARK = "doctor: "  # begins each line that tells of something
STEPS = ("write", "read", "list", "precondition", "delete")  # of a bucket, where all is well
DONE = "done"  # the last step of a pod that came to its end
PREFIX = ".gantry-doctor-"  # of the object that is written and removed; no run and no experiment is called so
PEER_SECONDS = 60.0


def try_storage(store: Store, name: str) -> Iterator[tuple[str, str]]:
    """Write, read, list, replace and remove an object; each step with what is wrong, empty when nothing is.

    Stops at a step that makes the others pointless. The object is removed whatever happens.
    """
    try:
        first = store.write(name, b"one", if_generation=0)
        yield "write", ""
    except GantryError as error:
        yield "write", str(error)
        return
    try:
        yield from _with_object(store, name, first)
    finally:
        try:
            store.delete(name)
            left = store.stat(name)
        except GantryError as error:
            yield "delete", f"{error}; {store.url}/{name} is left"
        else:
            yield "delete", "" if left is None else f"{store.url}/{name} is still there"


def _with_object(store: Store, name: str, first: int) -> Iterator[tuple[str, str]]:
    try:
        content = store.read(name)
        yield "read", "" if content == b"one" else f"{store.url}/{name} reads {content[:20]!r}"
        found = [stat.name for stat in store.list(name)]
        yield "list", "" if found == [name] else f"{store.url} lists {found}"
        yield "precondition", _precondition(store, name, first)
        stat = store.stat(name)
        if stat is not None:
            yield "clock", str(round((stat.updated - datetime.now(UTC)).total_seconds(), 1))
    except GantryError as error:
        yield "read", str(error)


def _precondition(store: Store, name: str, first: int) -> str:
    """Whether a write on the condition of an older generation is refused, and one of the newest is not."""
    store.write(name, b"two", if_generation=first)
    try:
        store.write(name, b"three", if_generation=first)
    except PreconditionFailed:
        return "" if store.read(name) == b"two" else "a refused write has changed the object"
    return "a write on the condition of an older generation went through: two writers could both hold a run"


def meet(peer: str, port: int, seconds: float = PEER_SECONDS) -> Iterator[tuple[str, str]]:
    """Resolve the name of the other pod, reach its port, and stay until it has reached ours."""
    met = threading.Event()
    threading.Thread(target=_listen, args=(port, met), daemon=True).start()
    end, address, why = time.monotonic() + seconds, "", "no answer"
    while not address and time.monotonic() < end:
        try:
            address = str(socket.getaddrinfo(peer, port, type=socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            why = str(error)
            time.sleep(1)
    yield "dns", "" if address else f"'{peer}' has no address after {seconds:.0f} s: {why}"
    if not address:
        return
    while time.monotonic() < end:
        try:
            socket.create_connection((address, port), timeout=5).close()
            break
        except OSError as error:
            why = str(error)
            time.sleep(1)
    else:
        yield "network", f"'{peer}' at {address} cannot be reached on port {port}: {why}"
        return
    yield "network", "" if met.wait(max(1.0, end - time.monotonic())) else f"'{peer}' has not called back"


def _listen(port: int, met: threading.Event) -> None:
    with socket.create_server(("", port)) as server:
        while True:
            server.accept()[0].close()
            met.set()


def main(root: str, name: str, peers: list[str]) -> None:
    """Try everything from inside a pod of the Job."""
    index = int(os.environ["JOB_COMPLETION_INDEX"])
    _tell("started", datetime.now(UTC).isoformat())
    for step, trouble in meet(peers[1 - index], int(os.environ["GANTRY_PORT"])):
        _tell(step, trouble)
    if index == 0 and root:
        try:
            for step, trouble in try_storage(open_store(root), name):
                _tell(f"bucket {step}", trouble)
        except GantryError as error:
            _tell("bucket write", str(error))
    _tell(DONE, "")


def _tell(step: str, text: str) -> None:
    print(MARK + json.dumps([step, text]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
