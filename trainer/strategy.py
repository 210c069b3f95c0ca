"""How TensorFlow spreads a step over replicas, and how workers find and lose each other."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context as eager_context

from trainer import unlocked
from trainer.cluster import Cluster
from trainer.errors import PeerLost, UserError, some

_REGISTER_SECONDS = 600  # a pod may wait for a node; TensorFlow's own hour is too long to sit unnoticed
_PART_SECONDS = 30  # all come within milliseconds, as the collective before is over for all at once

# How a collective fails when a worker at its other end is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.FailedPreconditionError,
    tf.errors.UnknownError,
)

# The coordination service's way to say which workers were silent for too long: a line for each below.
_SILENT = re.compile(r"stopped sending heartbeats\)?:\n((?:/job:\S+/task:\d+\n?)+)")

# Lines of an error's text that say where in the graph it happened rather than what.
_GRAPH_LINES = ("Graph execution error", "Detected at node", "Node:", "node ", "  ", "<stack traces")


def set_threads(threads: int | None) -> None:
    """Give TensorFlow `threads` threads for one operation (None: one for each core); call before `connect`.

    Two operations may run beside each other: with more, matrix products of a GAN's size wait for each other.
    """
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(min(threads, 2))


def connect(cluster: Cluster, heartbeat_seconds: int) -> tf.distribute.Strategy:
    """The strategy for this cluster; with peers it returns once all of them are there.

    A peer that is silent for `heartbeat_seconds` is lost from then on.

    Raises:
        PeerLost: a peer did not come within ten minutes.
        UserError: the address in TF_CONFIG cannot be listened on.
    """
    if cluster.alone:
        gpus = tf.config.list_logical_devices("GPU")
        if len(gpus) > 1:
            return tf.distribute.MirroredStrategy()
        return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")
    _configure_coordination(cluster, heartbeat_seconds)
    unlocked.install()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.UnknownError as error:
        raise UserError(
            f"TF_CONFIG: cannot listen on {cluster.addresses[cluster.index]}: {first_line(error)}"
        ) from error
    except _LOST as error:
        raise PeerLost(f"the {cluster.workers} workers did not all come: {first_line(error)}") from error


def agree(plan: tf.distribute.Strategy, cluster: Cluster, value: int) -> int:
    """The chief's number, on every worker; each waits here for all others."""
    if cluster.alone:
        return value

    def mine() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        lead = tf.equal(context.replica_id_in_sync_group, 0)
        number = tf.where(lead, tf.constant(value, tf.int64), tf.constant(0, tf.int64))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, number)

    result = plan.run(tf.function(mine))
    return int(plan.experimental_local_results(result)[0])


def part(cluster: Cluster) -> None:
    """Return once every worker has come here, so that none has a collective under way when another leaves.

    A ring is over for one worker while another still receives from it. One that left then would close the
    socket on which its peer reads, and TensorFlow reports that in six lines of errors after our last word
    (seen in 1 of 8 runs of two workers). The barrier is the coordination service's own and no collective; a
    worker that is dead, or does not come within `_PART_SECONDS`, is not waited for.
    """
    if not cluster.alone:
        with suppress(tf.errors.OpError):
            eager_context.context().wait_at_barrier("gantry-part", _PART_SECONDS * 1000)


@contextmanager
def peers(cluster: Cluster) -> Iterator[None]:
    """Say of a failed collective that a peer is lost; alone, errors stay what they are."""
    try:
        yield
    except _LOST as error:
        if cluster.alone:
            raise
        raise PeerLost(
            f"worker {cluster.index} lost a peer: {_silent(error) or first_line(error)}"
        ) from error


def first_line(error: BaseException) -> str:
    """What went wrong, without the graph that TensorFlow prints around it."""
    lines = _text(error).splitlines()
    telling = [line.strip() for line in lines if line.strip() and not line.startswith(_GRAPH_LINES)]
    return (telling or [type(error).__name__])[0][:200]


def _text(error: BaseException) -> str:
    """What an error says, TensorFlow's without their operation and code."""
    return str(getattr(error, "message", error))


def _silent(error: BaseException) -> str:
    """Which workers sent no heartbeat for too long, when that is what TensorFlow complains about."""
    found = _SILENT.search(_text(error))
    if found is None:
        return ""
    indices = sorted({int(index) for index in re.findall(r"/task:(\d+)", found[1])})
    workers = "worker" if len(indices) == 1 else "workers"
    return f"{workers} {some([str(index) for index in indices])} stopped sending heartbeats"


def _configure_coordination(cluster: Cluster, heartbeat_seconds: int) -> None:
    """Set what MultiWorkerMirroredStrategy keeps when it finds it set: the patience with peers."""
    context = eager_context.context()
    context.configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        coordinated_jobs=[coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=cluster.workers)],
        cluster_register_timeout_in_ms=_REGISTER_SECONDS * 1000,
        heartbeat_timeout_in_ms=heartbeat_seconds * 1000,
    )
    # The timeout above is only looked at together with this.
    context.coordination_service.cluster_register_with_barrier = True
