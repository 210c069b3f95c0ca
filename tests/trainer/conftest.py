"""Runs that nobody disturbed, which several tests compare with."""

import pytest

from tests.support.teams import train
from trainer.storage import open_store


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A function: the store of a finished run of `SMALL` with that many workers, made once."""
    root = tmp_path_factory.mktemp("undisturbed")
    stores = {}

    def run(workers: int):
        if workers not in stores:
            train(str(root), f"w{workers}", root / "logs", workers=workers)
            stores[workers] = open_store(str(root / "e" / f"w{workers}"))
        return stores[workers]

    return run


@pytest.fixture(scope="session")
def digits_shards(tmp_path_factory):
    """The 5,000 digits as shards with an index."""
    from trainer.data import prepare

    folder = tmp_path_factory.mktemp("shards")
    prepare("digits", f"tfrecord:{folder}", shard_images=512)
    return folder
