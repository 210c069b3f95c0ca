"""What goes wrong once pods start, made to happen on the cluster, and what `launcher explain` says of it."""

import uuid
from contextlib import ExitStack

import pytest

from tests.cluster.conftest import Launcher
from tests.cluster.failures import Failures, priorities, refusing_storage
from tests.cluster.kubectl import Kubectl


@pytest.fixture(scope="module")
def failures(cluster, tmp_path_factory):
    """All runs, submitted and struck."""
    folder = tmp_path_factory.mktemp("failures")
    name = f"test-{uuid.uuid4().hex[:8]}"
    namespaces = (name, f"{name}-free")
    call, launcher = Kubectl(cluster, name), Launcher(cluster, folder)
    with ExitStack() as stack:
        stack.callback(launcher.stop)
        for each in namespaces:
            call("create", "namespace", each)
            stack.callback(call, "delete", "namespace", each, "--wait=false")
        call("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        urls = stack.enter_context(refusing_storage(cluster))
        classes = stack.enter_context(priorities(call, name))
        made = Failures(launcher, cluster, namespaces, _bucket(cluster, name), folder)
        made.make(urls, classes)
        yield made


def _bucket(cluster, name):
    if cluster.root:
        return f"{cluster.root.rstrip('/')}/{name}"
    from google.cloud import storage

    storage.Client(project="test").create_bucket(name)
    return f"gs://{name}"


# By run: the cause, parts of the sentence, what the evidence is of, how the command begins, and a part of it.
CASES = {
    "variable": (
        "mistake", ["worker 0", "GANTRY_PEER_SECONDS is 'soon'"], ["Pod/variable-0-"],
        "launcher rerun ", "--env GANTRY_PEER_SECONDS=VALUE",
    ),
    "crashed": (
        "crashed", ["worker 0", "exit code 1", "PYTHONHASHSEED must be"],
        ["Pod/crashed-0-", "worker-0's log"],
        "launcher logs gan/crashed ", "--worker 0",
    ),
    "nobody": (
        "no-identity", ["service account 'default'", "worker 0"], ["Pod/nobody-0-", "ServiceAccount/default"],
        "launcher rerun ", "--google-service-account",
    ),
    "apart": (
        "peer-unreachable", ["Service 'apart' is gone", "3 s", "apart-1.apart"],
        ["Pod/apart-", "Service/apart"],
        "launcher resume gan/apart ", "",
    ),
    "policed": (
        "peer-unreachable", ["NetworkPolicy 'deny'", "DNS (port 53)"],
        ["Pod/policed-0-", "NetworkPolicy/deny"],
        "launcher rerun ", "--profile network-policy",
    ),
    "late": (
        "deadline", ["run 'late'", "deadline of 2 s"], ["Job/late"],
        "launcher rerun ", "--deadline 4",
    ),
    "deleted": (
        "deleted", ["worker 0", "no more than 0"], ["Pod/deleted-0-", "Job/deleted"],
        "launcher resume gan/deleted ", "",
    ),
    "evicted": (
        "evicted", ["worker 0", "its new pod has no node"], ["Pod/evicted-0-"],
        "launcher status gan/evicted ", "--watch",
    ),
    "preempted": (
        "preempted", ["worker 0", "a higher priority", "its new pod has no node"], ["Pod/preempted-0-"],
        "launcher status gan/preempted ", "--watch",
    ),
    "memory": (
        "out-of-memory", ["worker 0", "128Mi"], ["Pod/memory-0-"],
        "launcher resume gan/memory ", "--memory 1280Mi",
    ),
    "storage-403": (
        "storage-denied", ["bucket '", "worker 0", "storage.objects."],
        ["Pod/storage-403-0-", "worker-0's log", "ServiceAccount/default"],
        "gcloud storage buckets ", "launcher resume",
    ),
    "storage-404": (
        "bucket-missing", ["does not exist at http://", "worker 0"], ["Pod/storage-404-0-", "worker-0's log"],
        "launcher rerun ", "--env STORAGE_EMULATOR_HOST=URL",
    ),
    "full": (
        "disk-full", ["worker 0", "volume 'tmp' of 1Mi"], ["Pod/full-0-", "status.json", "worker-0's log"],
        "launcher rerun ", "--manifests",
    ),
    "emptied": (
        "backoff-limit", ["run 'emptied'"], ["Job/emptied"],
        "", "",
    ),
    "stalled": (
        "stalled", ["worker 0 took no step for", "recovery.stall_seconds"],
        ["Pod/stalled-0-", "worker-0's log"],
        "launcher resume gan/stalled ", "",
    ),
    "diverged": (
        "diverged", ["NaN or Inf in step ", "learning rate 1.0", "last good checkpoint"],
        ["Pod/diverged-0-", "status.json", "run.json"],
        "launcher rerun ", "--set optimizer.learning_rate=0.1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("run", CASES)
def test_what_went_wrong_is_said(failures, run, cluster):
    cause, words, seen, fix, more = CASES[run]
    if run.startswith("storage-") and cluster.node_address is None:
        pytest.skip("pods of another machine's cluster cannot reach a server of this test")
    if run == "stalled" and cluster.api_server is None:
        pytest.skip("threads of another machine cannot be held")
    # A trainer's last line may be there some seconds before its pod has ended.
    code, found = failures.explained(run, cause, "pending" if run in ("evicted", "preempted") else "failed")
    assert code == 1
    assert (found["kind"], found["name"], found["healthy"]) == ("run", run, False)
    assert "\n" not in found["sentence"]
    for word in words:
        assert word in found["sentence"]
    objects = [each["object"] for each in found["evidence"]]
    for prefix in seen:
        assert any(each.startswith(prefix) for each in objects), objects
    assert any(each["time"] for each in found["evidence"])
    assert found["fix"].startswith(fix)
    assert more in found["fix"]


def test_a_run_that_began_again_is_well_and_says_why(failures):
    code, found = failures.explained("mended", None, "running", "finished")
    assert (code, found["healthy"], found["fix"]) == (0, True, None)
    why = "after 1 restart; the last because worker 0's trainer died of SIGKILL"
    assert why in found["sentence"] or found["state"] == "finished"
