"""Who trains together: the workers of TF_CONFIG, checked before TensorFlow sees them.

TensorFlow itself accepts a contradictory TF_CONFIG and then waits for peers for an hour.
"""

import errno
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.errors import UserError

_EXPECTED = 'expected {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of a run, one process each, and which of them this process is."""

    addresses: tuple[str, ...] = ()
    """``host:port`` of every worker in order of index; empty when this process trains alone."""
    index: int = 0
    """This worker's index."""

    @property
    def workers(self) -> int:
        """Number of worker processes."""
        return max(1, len(self.addresses))

    @property
    def alone(self) -> bool:
        """Whether there are no peers."""
        return self.workers == 1

    @property
    def is_chief(self) -> bool:
        """Whether this worker prints and writes for all."""
        return self.index == 0


def from_environment(environ: Mapping[str, str]) -> Cluster:
    """The cluster that the variable TF_CONFIG describes, or one worker alone without it.

    Follows https://www.tensorflow.org/api_docs/python/tf/distribute/cluster_resolver/TFConfigClusterResolver;
    only workers are known here, no parameter servers or evaluators.

    Raises:
        UserError: TF_CONFIG is not JSON or contradicts itself.
    """
    text = environ.get("TF_CONFIG", "").strip()
    if not text:
        return Cluster()
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"TF_CONFIG is not JSON ({error}): {text[:80]!r}; {_EXPECTED}") from None
    jobs, task = _section(value, "cluster"), _section(value, "task")
    if list(jobs) != ["worker"]:
        raise UserError(f"TF_CONFIG: cluster has the jobs {sorted(jobs)}, expected only 'worker'")
    addresses = _addresses(jobs["worker"])
    if task.get("type") != "worker":
        raise UserError(f"TF_CONFIG: task.type is {task.get('type')!r}, expected 'worker'")
    index = task.get("index")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(addresses):
        raise UserError(
            f"TF_CONFIG: task.index is {index!r}, expected 0 to {len(addresses) - 1} "
            f"for the {len(addresses)} workers of cluster.worker"
        )
    return Cluster(addresses, index) if len(addresses) > 1 else Cluster()


def tf_config(cluster: Cluster) -> str:
    """TF_CONFIG of one worker among peers; `from_environment` reads the cluster back from it."""
    task = {"type": "worker", "index": cluster.index}
    return json.dumps({"cluster": {"worker": list(cluster.addresses)}, "task": task})


def check_port(cluster: Cluster) -> None:
    """Refuse a port that another process listens on; TensorFlow would only say that its server did not start.

    Raises:
        UserError: this worker's port is taken.
    """
    if cluster.alone:
        return
    port = int(cluster.addresses[cluster.index].rpartition(":")[2])
    with socket.socket(socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if probe.family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind(("", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise UserError(
                f"TF_CONFIG: port {port} of worker {cluster.index} is in use by another process on this host"
            ) from None


def _section(value: Any, name: str) -> dict[str, Any]:
    section = value.get(name) if isinstance(value, dict) else None
    if not isinstance(section, dict):
        raise UserError(f"TF_CONFIG: '{name}' is {section!r}; {_EXPECTED}")
    return section


def _addresses(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise UserError(f"TF_CONFIG: cluster.worker is {value!r}, expected a list of host:port")
    for address in value:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UserError(f"TF_CONFIG: cluster.worker has {address!r}, expected host:port")
        if value.count(address) > 1:
            raise UserError(f"TF_CONFIG: cluster.worker has {address} twice, expected each worker once")
    return tuple(value)
