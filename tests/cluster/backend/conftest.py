"""A user of the backend's own functions on the cluster: connections, runs, and looks at them."""

import pytest

from launcher.backends.kubernetes.client.api import connect
from launcher.backends.kubernetes.jobs.record import read_record
from launcher.backends.kubernetes.status import observe
from launcher.backends.kubernetes.status.ours import Own
from launcher.records.status import read_dated
from launcher.spec.runspec import make_spec
from trainer.run import layout
from trainer.storage import open_store

SMALL = ("batch_size=12", "xla=off", "steps=100000")


@pytest.fixture(autouse=True)
def _kubeconfig(cluster, monkeypatch):
    if cluster.kubeconfig:
        monkeypatch.setenv("KUBECONFIG", cluster.kubeconfig)


@pytest.fixture
def api(cluster, namespace):
    return connect(cluster.context, namespace)


@pytest.fixture
def spec(cluster, namespace, bucket):
    """A run of one worker that trains until it is stopped; its keywords are fields of a RunSpec."""

    def make(name, overrides=SMALL, **fields):
        env = {"STORAGE_EMULATOR_HOST": cluster.storage_url} if cluster.storage_url else {}
        asked = {
            "image": cluster.image,
            "memory": "1Gi",
            "cpu": "100m",
            "threads": 1,
            "root": bucket,
            "context": cluster.context,
            "namespace": namespace,
            "env": env,
        }
        return make_spec("mlp", overrides, name, **{**asked, **fields})

    return make


@pytest.fixture
def look(api):
    """Where a run stands, as `launcher status` would find it."""

    def call(run):
        store = open_store(run.path.url)
        record = read_record(store)
        words, old = read_dated(store, layout.STATUS)
        submitted = read_dated(store, layout.CLUSTER)[1]
        seen = observe.look(Own(api, run.path, record.job, record.attempt, record.uid))
        return observe.join(seen, words, observe.Ages(old, submitted), record.workers)

    return call


@pytest.fixture
def until(kubectl, look):
    """Wait until a run's observation is as wanted, and return it."""

    def wait(run, wanted, what, seconds=300):
        last = []

        def holds():
            last[:] = [look(run)]
            return wanted(last[0])

        kubectl.wait_for(f"{what}: last {last}", holds, seconds)
        return last[0]

    return wait
