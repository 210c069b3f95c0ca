"""Who a pod of an Indexed Job is and where its peers are, from the pod's environment alone.

Kubernetes gives every pod of an Indexed Job a completion index (``JOB_COMPLETION_INDEX``) and the host name
``<job>-<index>``, and a headless Service makes ``<job>-<index>.<service>`` a name that its peers can resolve.
The rest of the environment is the same in all pods, so all of them come to the same list of addresses.

https://kubernetes.io/docs/tasks/job/job-with-pod-to-pod-communication/
"""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.environment.tf_config import Cluster
from trainer.errors import PeerLost, UserError, some
from trainer.run import layout

_INDEX = "JOB_COMPLETION_INDEX"
_CLAIMED = "GANTRY_CLAIMED"
_MOST = 100_000  # workers; Kubernetes takes no more completions of an Indexed Job
_PEER_SECONDS = 600  # a pod may have to wait for a node that is only then made
_NOTE_SECONDS = 10.0
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Member:
    """One pod of a job."""

    job: str
    """The Job's name, with which the pods' host names begin."""
    service: str
    """The headless Service, in whose domain the host names are."""
    index: int
    """Which worker this pod is."""
    workers: int
    """How many there are."""
    port: int
    """On which every one of them listens."""
    attempt: int
    """Counts from 1."""
    pod: str
    """The pod's own name; another one each time a pod is replaced."""
    claimed: bool = False
    """Whether a launcher wrote run.json before there was a Job, so that a pod that misses it has lost it."""

    @property
    def is_spare(self) -> bool:
        """Whether the Job was given more pods than the run has workers, and this is one of those."""
        return self.index >= self.workers

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of all workers' pods in order of index."""
        return tuple(f"{self.job}-{index}.{self.service}" for index in range(self.workers))

    @property
    def cluster(self) -> Cluster:
        """All workers' addresses and which one this is; a worker alone has none."""
        if self.workers == 1:
            return Cluster()
        return Cluster(tuple(f"{host}:{self.port}" for host in self.hosts), self.index)


def from_environment(environ: Mapping[str, str]) -> Member:
    """The pod that the environment describes.

    Raises:
        UserError: a variable is missing or makes no sense; the text names it, its value and what is expected.
    """
    if not environ.get(_INDEX):
        raise UserError(
            f"{_INDEX} is not set: 'worker' is for the pods of an Indexed Job; "
            "outside of one, 'train' with the same arguments trains"
        )
    workers = _number(environ, "GANTRY_WORKERS", 1, _MOST)
    return Member(
        job=_label(environ, "GANTRY_JOB", "the Job's name"),
        service=_label(environ, "GANTRY_SERVICE", "the headless Service's name"),
        index=_number(environ, _INDEX, 0, _MOST - 1),
        workers=workers,
        port=_number(environ, "GANTRY_PORT", 1, 65535),
        attempt=_number(environ, "GANTRY_ATTEMPT", 1, 1_000_000),
        pod=_text(environ, "GANTRY_POD", "the pod's name"),
        claimed=bool(environ.get(_CLAIMED)),
    )


def peer_seconds(environ: Mapping[str, str]) -> int:
    """How long to wait for the peers' names: ``GANTRY_PEER_SECONDS``, or ten minutes.

    Raises:
        UserError: it is not a number of seconds.
    """
    if not environ.get("GANTRY_PEER_SECONDS"):
        return _PEER_SECONDS
    return _number(environ, "GANTRY_PEER_SECONDS", 0, 7 * 24 * 3600)


def wait_for_peers(
    member: Member,
    seconds: float,
    resolve: Callable[..., Any] = socket.getaddrinfo,
    *,
    say: Callable[[str], object] = print,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Return once the names of all pods, this one's too, lead to an address.

    A name appears when its pod has got an address, whether or not its container runs yet. `say` hears every
    ten seconds whom we wait for.

    Raises:
        PeerLost: some name does not resolve after `seconds`.
    """
    start = noted = clock()
    missing = list(member.hosts)
    while missing := [host for host in missing if not _resolves(host, member.port, resolve)]:
        now = clock()
        if now - start >= seconds:
            raise PeerLost(_missing_for_good(member, missing, seconds))
        if now - noted >= _NOTE_SECONDS:
            noted = now
            say(f"waiting for {len(missing)} of {member.workers} workers to get an address: {some(missing)}")
        pause(min(_POLL_SECONDS, start + seconds - now))


def _missing_for_good(member: Member, missing: Sequence[str], seconds: float) -> str:
    return (
        f"after {seconds:.0f} s the names of {len(missing)} of {member.workers} workers do not resolve: "
        f"{some(missing)}; look whether their pods are scheduled "
        f"(kubectl get pods -l batch.kubernetes.io/job-name={member.job}), whether the headless Service "
        f"'{member.service}' selects them and publishes addresses that are not ready, and whether a "
        "NetworkPolicy keeps DNS away"
    )


def _resolves(host: str, port: int, resolve: Callable[..., Any]) -> bool:
    try:
        return bool(resolve(host, port, type=socket.SOCK_STREAM))
    except OSError:  # no such name yet, or the name server does not answer
        return False


def _text(environ: Mapping[str, str], name: str, what: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise UserError(f"{name} is not set, expected {what}")
    return value


def _label(environ: Mapping[str, str], name: str, what: str) -> str:
    value = _text(environ, name, what)
    if not layout.LABEL.fullmatch(value):
        raise UserError(
            f"{name} is {value!r}, expected {what}: at most 63 lower case letters, digits and dashes"
        )
    return value


def _number(environ: Mapping[str, str], name: str, least: int, most: int) -> int:
    expected = f"a number from {least} to {most}"
    value = _text(environ, name, expected)
    if not (value.isascii() and value.isdecimal() and len(value) < 20 and least <= int(value) <= most):
        raise UserError(f"{name} is {value!r}, expected {expected}")
    return int(value)
