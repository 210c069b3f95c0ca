"""Runs that nobody disturbed, which several tests compare with."""

import fcntl
import os

import pytest

from tests.support.teams import train
from trainer.data import prepare
from trainer.storage import open_store


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A function: the store of a finished run of `SMALL` with that many workers, made once for all tests.

    Test processes that run beside each other (pytest-xdist) share it; a lock lets one of them make it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "undisturbed"
    shared.mkdir(exist_ok=True)

    def run(workers: int):
        store = open_store(str(shared / "e" / f"w{workers}"))
        with (shared / f"lock-{workers}").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not store.stat("result.json"):
                train(str(shared), f"w{workers}", shared / "logs", workers=workers)
        return store

    return run


@pytest.fixture(scope="session")
def digits_shards(tmp_path_factory):
    """The 5,000 digits as shards with an index."""
    folder = tmp_path_factory.mktemp("shards")
    prepare("digits", f"tfrecord:{folder}", shard_images=512)
    return folder
