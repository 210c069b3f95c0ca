"""Removing a run's files: everything, in an order that an interruption does no harm to."""

import threading

import pytest

from launcher.artifacts import delete_files
from launcher.artifacts.crew import Crew
from launcher.records.run_folder import find_run
from trainer.errors import AccessError
from trainer.storage import open_store

FILES = {
    "run.json": b"{}",
    "status.json": b"{}",
    "checkpoints/10/manifest.json": b"m",
    "checkpoints/10/state": b"state",
    "checkpoints/20/manifest.json": b"m",
    "checkpoints/20/state": b"state",
    "samples/10.png": b"png",
}


@pytest.fixture
def run(store):
    """A run in a store of each kind, beside another."""
    for name, content in FILES.items():
        open_store(f"{store.url}/gan/one").write(name, content)
    open_store(f"{store.url}/gan/other").write("run.json", b"{}")
    return open_store(f"{store.url}/gan/one")


def test_all_files_of_the_run_go_and_nothing_else(run, store):
    assert delete_files(run) == (len(FILES), sum(map(len, FILES.values())))
    assert list(run.list()) == []
    assert [found.name for found in store.list()] == ["gan/other/run.json"]
    assert delete_files(run) == (0, 0)


def test_manifests_go_first_and_run_json_last(run, monkeypatch):
    order, honest = [], type(run).delete

    def delete(self, name):
        order.append(name)
        honest(self, name)

    monkeypatch.setattr(type(run), "delete", delete)
    delete_files(run)
    assert sorted(order[:2]) == ["checkpoints/10/manifest.json", "checkpoints/20/manifest.json"]
    assert order[-1] == "run.json"
    assert len(order) == len(FILES)


def test_a_delete_that_is_refused_on_its_way_can_be_repeated(gcs_root, gcs_proxy):
    run = open_store(f"{gcs_root}/gan/one")
    for name, content in FILES.items():
        run.write(name, content)
    gcs_proxy.answer(403, method="DELETE", contains="samples")
    with pytest.raises(AccessError, match=r"storage\.objects\.delete"):
        delete_files(run)
    assert find_run(gcs_root, "one").path.experiment == "gan"
    left = {found.name for found in run.list()}
    assert {"run.json", "samples/10.png"} <= left
    assert not any(name.endswith("manifest.json") for name in left)
    assert delete_files(run).files == len(left)
    assert list(run.list()) == []


def test_a_crew_hands_on_the_first_error_and_stops():
    done = []

    def work(item):
        if item == 3:
            raise ValueError("three")
        done.append(item)

    with pytest.raises(ValueError, match="three"), Crew(1, work) as crew:
        for item in range(100):
            crew.put(item)
        crew.drain()
    assert done == [0, 1, 2]


def test_a_crew_is_drained_more_than_once():
    done = []
    with Crew(4, done.append) as crew:
        for stage in range(3):
            for item in range(50):
                crew.put((stage, item))
            crew.drain()
            assert len(done) == 50 * (stage + 1)
    assert [stage for stage, _ in done] == sorted(stage for stage, _ in done)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_a_crew_of_threads_that_wait_grows_until_all_are_there(jobs):
    together = threading.Barrier(jobs)
    with Crew(jobs, lambda item: together.wait(60)) as crew:
        for item in range(4 * jobs):
            crew.put(item)
        crew.drain()
    assert not together.broken
