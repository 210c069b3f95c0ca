"""TF_CONFIG is checked before TensorFlow sees it."""

import json
import socket

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.environment.tf_config import Cluster, check_port, from_environment
from trainer.errors import EXIT_FAILED, ComputeFailed, PeerLost, UserError
from trainer.training.distribution import first_line, is_of_peers, peers


def tf_config(workers, index, kind="worker"):
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": {"type": kind, "index": index}})}


@given(st.integers(2, 50), st.data())
def test_a_sound_tf_config_is_read_as_it_is(count, data):
    index = data.draw(st.integers(0, count - 1))
    addresses = [f"gan-{number}.gan:2222" for number in range(count)]
    cluster = from_environment(tf_config(addresses, index))
    assert cluster == Cluster(tuple(addresses), index)
    assert (cluster.workers, cluster.is_chief, cluster.alone) == (count, index == 0, False)


@pytest.mark.parametrize("environ", [{}, {"TF_CONFIG": ""}, tf_config(["a:1"], 0)])
def test_one_worker_is_alone(environ):
    cluster = from_environment(environ)
    assert cluster.alone and cluster.is_chief and cluster.workers == 1


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"TF_CONFIG": "{worker"}, "not JSON"),
        ({"TF_CONFIG": "[]"}, "'cluster' is None"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "'task' is None"),
        ({"TF_CONFIG": '{"cluster": {"ps": ["a:1"]}, "task": {}}'}, "'ps'"),
        (tf_config([], 0), r"cluster.worker is \[\]"),
        (tf_config("a:1", 0), "a:1"),
        (tf_config(["a", "b:1"], 0), "'a', expected host:port"),
        (tf_config(["a:0", "b:1"], 0), "'a:0', expected host:port"),
        (tf_config(["a:99999", "b:1"], 0), "a:99999"),
        (tf_config([7, "b:1"], 0), "has 7, expected host:port"),
        (tf_config(["a:1", "a:1"], 0), "a:1 twice"),
        (tf_config(["a:1", "b:1"], 2), "task.index is 2, expected 0 to 1"),
        (tf_config(["a:1", "b:1"], -1), "task.index is -1"),
        (tf_config(["a:1", "b:1"], True), "task.index is True"),
        (tf_config(["a:1", "b:1"], "0"), "task.index is '0'"),
        (tf_config(["a:1", "b:1"], 0, "chief"), "task.type is 'chief'"),
    ],
)
def test_a_contradiction_is_one_line_that_names_the_field(environ, message):
    with pytest.raises(UserError, match=message) as failure:
        from_environment(environ)
    assert "\n" not in str(failure.value) and "TF_CONFIG" in str(failure.value)


def test_a_port_in_use_is_refused_and_a_free_one_is_not():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cluster = Cluster((f"127.0.0.1:{port}", "127.0.0.1:1"), 0)
        with pytest.raises(UserError, match=f"port {port} of worker 0 is in use"):
            check_port(cluster)
    check_port(cluster)
    assert check_port(Cluster()) is None


def test_a_failed_collective_is_a_lost_peer_only_when_there_are_peers():
    error = tf.errors.UnavailableError(
        None, None, "Graph execution error:\n\nDetected at node x\n  File y\nreset"
    )
    assert first_line(error) == "reset"
    with pytest.raises(PeerLost, match="worker 1 lost a peer: reset"), peers(Cluster(("a:1", "b:1"), 1)):
        raise error
    with pytest.raises(tf.errors.UnavailableError), peers(Cluster()):
        raise error


@pytest.mark.parametrize(
    ("tasks", "named"),
    [([1], "worker 1"), ([2, 1], "workers 1, 2"), (range(1, 8), "workers 1, 2, 3, 4, 5 and 2 more")],
)
def test_workers_that_tensorflow_calls_silent_are_named(tasks, named):
    lines = "\n".join(f"/job:worker/replica:0/task:{task}" for task in tasks)
    text = (
        "Collective ops is aborted by: Error reported from /job:worker/task:9: The following tasks are "
        f"unhealthy (stopped sending heartbeats):\n{lines}\nThe tasks have crashed. Check the task logs\n"
        "The error could be from a previous operation. Restart your program to reset."
    )
    with (
        pytest.raises(PeerLost, match=f"^worker 0 lost a peer: {named} stopped sending heartbeats$"),
        peers(Cluster(("a:1", "b:1"), 0)),
    ):
        raise tf.errors.UnavailableError(None, None, text)


TASK_1 = "/job:worker/replica:0/task:1"
RESET = "Restart your program to reset."
errors = tf.errors
OF_PEERS = [
    (errors.UnavailableError, f"Collective ops is aborted by: failed to connect to all addresses\n{RESET}"),
    (errors.InternalError, "Collective ops is aborted by: Socket closed\nThe error could be from a previous"),
    (errors.UnknownError, "Stream removed\nAdditional GRPC error information from remote target "
     f"{TASK_1} while calling /tensorflow.WorkerService/RecvBuf:"),
    (errors.FailedPreconditionError, f"Device {TASK_1}/device:GPU:0 current incarnation doesn't match with "
     "one in the group. This usually means this worker has restarted but the collective leader hasn't, or"),
    (errors.FailedPreconditionError, "RecvBuf expects a different device incarnation: 1 vs. 2. Your worker "
     f'job ("{TASK_1}") was probably restarted. Check your worker job for the reason why it was restarted.'),
    (errors.InternalError, "NCCL: remote process exited or there was a network error. Set NCCL_DEBUG=WARN"),
    (errors.InternalError, f"Error reported from {TASK_1}: CUDA error: an illegal memory access"),
    (errors.CancelledError, "[_Derived_]RecvAsync is cancelled.\n\t [[{{node xla_cluster/cuda_oom}}]]"),
    (errors.AbortedError, "Barrier gantry-part timed out"),
]  # fmt: skip
OURS = [
    (errors.InternalError, "CUDA runtime implicit initialization on GPU:0 failed. Status: out of memory"),
    (errors.InternalError, "Failed to copy memory: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access"),
    (errors.InternalError, "cuDNN launch failure : input shape ([64,64,16,16])\n\t [[{{node conv2d}}]]"),
    (errors.InternalError, "Attempting to perform BLAS operation using StreamExecutor without BLAS support"),
    (errors.InternalError, f"Failed copying input tensor from {TASK_1}/device:CPU:0 to {TASK_1}/device:GPU:0 "
     "in order to run _EagerConst: Dst tensor is not initialized."),
    (errors.InternalError, "NCCL: unhandled cuda error (run with NCCL_DEBUG=INFO for details)"),
    (errors.InternalError, "libdevice not found at ./libdevice.10.bc"),
    (errors.UnknownError, "Failed to get convolution algorithm. This is probably because cuDNN failed"),
    (errors.FailedPreconditionError, "DNN library is not found."),
    (errors.InternalError, "Collective ops is aborted by: RESOURCE_EXHAUSTED: Out of memory while"),
    (errors.AbortedError, "Collective ops is aborted by: XLA compilation requires a fixed tensor list"),
    (errors.InternalError, f"Error reported from /job:worker/replica:0/task:0: CUDA error: {RESET}"),
    (errors.FailedPreconditionError, "Could not find variable dense/kernel. It may be uninitialized."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), OF_PEERS)
def test_what_the_transport_and_the_services_say_is_a_lost_peer(kind, text):
    assert is_of_peers(kind(None, None, text), 0)


@pytest.mark.parametrize(("kind", "text"), OURS)
def test_what_a_device_or_the_compiler_says_is_this_workers_own_failure(kind, text):
    with pytest.raises(ComputeFailed) as failure, peers(Cluster(("a:1", "b:1"), 0)):
        raise kind(None, None, f"Graph execution error:\n\nDetected at node x\n  File xla\n{text}")
    assert failure.value.exit_code == EXIT_FAILED
    told = " ".join(text.replace("\t", "").split())
    assert str(failure.value) == f"worker 0: {kind.__name__}: {told}"
