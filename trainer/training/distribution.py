"""How TensorFlow spreads a step over replicas, and how workers find and lose each other."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context as eager_context

from trainer.config import RunConfig
from trainer.environment.tf_config import Cluster
from trainer.errors import ComputeFailed, PeerLost, UserError, some
from trainer.networks.sizes import discriminator_fuses
from trainer.regularizers import penalties
from trainer.training import unlocked

_REGISTER_SECONDS = 600  # a pod may wait for a node; TensorFlow's own hour is too long to sit unnoticed
_PART_SECONDS = 30  # all come within milliseconds, as the collective before is over for all at once

# How a collective fails when a worker at its other end is gone: always so, and with what else fails so too.
_PEERS_ALONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
_PEERS_OR_OURS = (tf.errors.InternalError, tf.errors.FailedPreconditionError, tf.errors.UnknownError)
_LOST = (*_PEERS_ALONE, *_PEERS_OR_OURS)

# Words of the transport between workers, and of the services that watch over them.
_OF_PEERS = re.compile(
    r"collective ops is aborted|incarnation|was probably restarted|heartbeat|coordination|barrier|grpc"
    r"|\brpc\b|connect|socket|recvmsg|recvbuf|goaway|broken pipe|unreachable|remote process exited"
    r"|network error|cancelled|timed out|deadline exceeded|tasks have crashed",
    re.IGNORECASE,
)
# Words of a device, of its libraries and of the compiler: restarting with the peers mends none of these.
_OF_DEVICES = re.compile(
    r"cuda|cudnn|cublas|cufft|cusolver|\bdnn\b|blas\b|\bgpus?\b|\brocm|\bhip|miopen|nvrtc|nvlink|ptxas"
    r"|libdevice|\bxla|\bhlo\b|jit compil|stream executor|convolution algorithm|out of memory|\boom\b"
    r"|resource_exhausted|failed to allocate|dst tensor is not initialized|\becc\b|device driver",
    re.IGNORECASE,
)
# Names of nodes and devices, whatever words they hold.
_NAMES = re.compile(r"\[\[.*?\]\]|\[Op:[^\]]*\]|/job:\S+")
_REPORTED = re.compile(
    r"(?:error reported from|from remote target) /job:\w+(?:/replica:\d+)?/task:(\d+)", re.I
)

# The coordination service's way to say which workers were silent for too long: a line for each below.
_SILENT = re.compile(r"stopped sending heartbeats\)?:\n((?:/job:\S+/task:\d+\n?)+)")

# Lines of an error's text that say where in the graph it happened rather than what.
_GRAPH_LINES = ("Graph execution error", "Detected at node", "Node:", "node ", "  ", "<stack traces")

_TEXT_LETTERS = 1000  # of what a device says, which is all that there is to find its reason by


def set_threads(threads: int | None) -> None:
    """Give TensorFlow `threads` threads for one operation (None: one for each core); call before `connect`.

    Two operations may run beside each other: with more, matrix products of a GAN's size wait for each other.
    """
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(min(threads, 2))


def set_fusion(config: RunConfig) -> None:
    """Settle whether a convolution, its bias and its activation may become one kernel, as TensorFlow has it.

    In a graph with gradients of gradients that fails, with an error on stderr, and leaves all as it was.
    """
    wanted = discriminator_fuses(config.network, config.image) and not penalties(config.regularizers)
    if tf.config.optimizer.get_experimental_options().get("remapping", True) != wanted:
        tf.config.optimizer.set_experimental_options({"remapping": wanted})


def connect(cluster: Cluster, heartbeat_seconds: int) -> tf.distribute.Strategy:
    """The strategy for this cluster; with peers it returns once all of them are there.

    A peer that is silent for `heartbeat_seconds` is lost from then on.

    Raises:
        PeerLost: a peer did not come within ten minutes.
        UserError: the address in TF_CONFIG cannot be listened on.
        ComputeFailed: a device or its library failed.
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
    except _LOST as error:
        if "Could not start gRPC server" in _text(error):
            address = cluster.addresses[cluster.index]
            raise UserError(f"TF_CONFIG: cannot listen on {address}: {first_line(error)}") from error
        if not is_of_peers(error, cluster.index):
            raise _ours(error, cluster) from error
        raise PeerLost(f"the {cluster.workers} workers did not all come: {first_line(error)}") from error


def agreement(strategy: tf.distribute.Strategy, cluster: Cluster) -> Callable[[int], int]:
    """A function that gives the chief's number on every worker, each of which waits in it for all others."""
    if cluster.alone:
        return lambda value: value

    def mine(value: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        lead = tf.equal(context.replica_id_in_sync_group, 0)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(lead, value, tf.constant(0, tf.int64)))

    traced = tf.function(mine, autograph=False)  # once: a trace takes 30 ms of every worker

    def ask(value: int) -> int:
        result = strategy.run(traced, args=(tf.constant(int(value), tf.int64),))
        return int(strategy.experimental_local_results(result)[0])

    return ask


def agree(strategy: tf.distribute.Strategy, cluster: Cluster, value: int) -> int:
    """The chief's number, on every worker; each waits here for all others."""
    return agreement(strategy, cluster)(value)


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
    """Say of a failed collective that a peer is lost, of a failed device what it says; alone, nothing.

    Raises:
        PeerLost: another worker is gone.
        ComputeFailed: what failed is this worker's own.
    """
    try:
        yield
    except _LOST as error:
        if cluster.alone:
            raise
        if not is_of_peers(error, cluster.index):
            raise _ours(error, cluster) from error
        raise PeerLost(
            f"worker {cluster.index} lost a peer: {_silent(error) or first_line(error)}"
        ) from error


def is_of_peers(error: tf.errors.OpError, index: int) -> bool:
    """Whether an error of TensorFlow's means, for worker `index`, that another worker is gone.

    Its kind does not tell: InternalError is a broken connection and a broken GPU, so that its text decides.
    """
    text = " ".join(_telling(error))
    if (reported := _REPORTED.search(text)) and int(reported[1]) != index:
        return True  # whatever failed there
    if _OF_DEVICES.search(_NAMES.sub("", text)):
        return False
    return isinstance(error, _PEERS_ALONE) or bool(_OF_PEERS.search(text))


def _ours(error: tf.errors.OpError, cluster: Cluster) -> ComputeFailed:
    text = " ".join(_telling(error))[:_TEXT_LETTERS]
    return ComputeFailed(f"worker {cluster.index}: {type(error).__name__}: {text}")


def first_line(error: BaseException) -> str:
    """What went wrong, without the graph that TensorFlow prints around it."""
    return _telling(error)[0][:200]


def _telling(error: BaseException) -> list[str]:
    """The lines of an error that say what went wrong, at least one."""
    lines = _text(error).splitlines()
    telling = [line.strip() for line in lines if line.strip() and not line.startswith(_GRAPH_LINES)]
    return telling or [type(error).__name__]


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
