"""What tests share: Ctrl-C, their order, and fixtures that start nothing before a test asks for them."""

import gc
import os
import random
import signal
import sys
import tempfile
import uuid

import hypothesis
import pytest

from launcher import notes
from tests.support.gcs import GcsServer
from tests.support.proxy import Proxy
from trainer.environment import scratch
from trainer.environment.quiet import NOT_WANTED
from trainer.storage import Store, open_store

# A loaded machine makes any example late. CI, by HYPOTHESIS_PROFILE, plays the same examples every time.
hypothesis.settings.register_profile("own", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "own"))

# A shell ignores Ctrl-C for what it runs in the background, nohup(1) a terminal that closes, and all that we
# start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# As in a trainer: Keras imports them wherever they are.
sys.modules.update(dict.fromkeys(NOT_WANTED))

# Files of 15 s and more beside other work, the longest first: none is left to one process at the end, as
# those of `tests/trainer` would be by their names.
LONG = (
    "chaos/test_chaos",
    "trainer/test_exact_resume",
    "trainer/test_worker",
    "trainer/test_lost",
    "launcher/test_end_to_end",
    "trainer/test_dated_data",
    "trainer/test_judging",
    "bench/test_gpu",
    "ends/test_room",
    "laws/test_laws",
    "trainer/test_warm_start",
    "evaluation/test_evaluate",
    "launcher/test_ours",
    "trainer/test_export",
    "launcher/test_lock",
    "launcher/test_evaluate_job",
    "trainer/test_cli",
    "trainer/test_rollback",
    "evaluation/test_keeping",
    "trainer/test_surroundings",
    "launcher/test_cluster_cannot_be_asked",
    "trainer/test_replay",
    "ends/test_ends",
    "trainer/test_step",
    "trainer/test_checkpoints",
    "trainer/test_average",
    "trainer/test_patience",
    "launcher/test_report",
    "launcher/test_revisions",
    "trainer/test_train",
    "launcher/test_collapsed",
    "launcher/test_evaluate",
    "launcher/test_cli",
    "trainer/test_scratch",
    "launcher/test_kubernetes_transport",
    "test_recipes",
    "trainer/test_watchdog",
    "trainer/test_microbatch",
    "evaluation/test_metrics",
    "test_python_page",
    "trainer/test_parting",
    "bench/test_referee",
    "launcher/test_clocks",
    "launcher/test_sweep",
    "streams/test_streams",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Look for no garbage among 4,000 tests and TensorFlow, which stay: 6 of 14 s in each process."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """Begin with the files of `LONG`; ``--no-loadscope-reorder`` has pytest-xdist leave it so."""
    ranks = {f"tests/{name}.py": rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))


@pytest.fixture(autouse=True)
def temporary_files_where_they_were():
    """A command that a test calls in its own process moves them to where other users may not enter."""
    place, told, mine = tempfile.tempdir, os.environ.get("TMPDIR"), scratch._mine
    yield
    if scratch._mine is not mine:
        scratch.remove()
        tempfile.tempdir, scratch._mine = place, mine
        os.environ.pop("TMPDIR", None)
        os.environ.update({} if told is None else {"TMPDIR": told})


@pytest.fixture(autouse=True)
def weights_that_nobody_seeded():
    """The same in every run: Keras takes an unseeded layer's from Python's own generator."""
    random.seed(0)


@pytest.fixture(autouse=True)
def notes_as_a_command_says_them(monkeypatch):
    """Whichever test came before in this process; a script's own are in tests/test_python_page.py."""
    monkeypatch.setattr(notes, "_on_stderr", True)


@pytest.fixture(scope="session")
def gcs_server():
    """A Cloud Storage server with an empty bucket called ``runs``; clients find it by the environment."""
    server = GcsServer()
    server.start()
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    os.environ["STORAGE_EMULATOR_HOST"] = server.url
    try:
        from google.cloud import storage

        storage.Client().create_bucket("runs")
        yield server
    finally:
        os.environ.pop("STORAGE_EMULATOR_HOST")
        if before is not None:
            os.environ["STORAGE_EMULATOR_HOST"] = before
        server.stop()


@pytest.fixture
def gcs_root(gcs_server) -> str:
    """A ``gs://`` address that no other test uses."""
    return f"gs://runs/{uuid.uuid4().hex}"


@pytest.fixture
def gcs_proxy(gcs_server, monkeypatch):
    """A proxy in front of the server, through which every client that is made during the test goes."""
    with Proxy(gcs_server.url) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield proxy


@pytest.fixture(params=["local", "gs"])
def store(request, tmp_path) -> Store:
    """An empty store of each kind."""
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    return open_store(request.getfixturevalue("gcs_root"))
