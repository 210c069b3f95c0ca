"""The first process of a pod: meets its peers, keeps the trainer going, keeps a copy of what it says.

It imports no TensorFlow: it is there within a second, takes little memory and outlives whatever the trainer
does to itself. What the trainer prints goes to stdout byte for byte and, through `LogCopy`, to the run's
folder; the exit code is for the Job's podFailurePolicy to read.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.config import RunConfig
from trainer.environment import surroundings, tf_config
from trainer.environment.stop_signals import Ended
from trainer.environment.supervision import KEEP_SECONDS, Supervision
from trainer.errors import (
    EXIT_DONE,
    EXIT_RESTART,
    ConfigError,
    GantryError,
    PeerLost,
    StorageError,
    UserError,
)
from trainer.pod import indexed_job, scheduled_run, termination
from trainer.pod.indexed_job import Member
from trainer.pod.log_uploader import LogCopy
from trainer.pod.rendezvous import Alone, Caller, Generation, Host, Meeting
from trainer.pod.supervisor import Supervisor
from trainer.pod.trainer_process import Child, Ending, Requests
from trainer.run import index, judged, layout, lost, ownership
from trainer.run.layout import RunPath
from trainer.run.lease import RELEASE_SECONDS
from trainer.run.status import CLOSE_SECONDS, amend, finished_steps
from trainer.storage import Store, open_store

_LAST_UPLOAD_SECONDS = 20.0  # of the pod's grace, for the end of the log
_SLACK_SECONDS = 15.0  # for a trainer on a loaded node to come from one of its limits to the next
# The chief's: what is in flight, its last status, its line in the index and its lease, each with its limit.
_CHIEF_KEEP_SECONDS = KEEP_SECONDS + CLOSE_SECONDS + index.CLOSE_SECONDS + RELEASE_SECONDS + _SLACK_SECONDS
_KEEP_SECONDS = 5.0  # of a trainer that has nothing to save
_BIND_SECONDS = 30.0  # the pod that this one replaces may not be quite gone


def work(path: RunPath, config: RunConfig, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do one pod's work: keep ``trainer train`` with these arguments going; returns the exit code.

    Raises:
        UserError: the environment, the configuration or the run's address is wrong; nothing was started.
    """
    member = indexed_job.from_environment(environ)
    if member.is_spare:
        return _spare(member, path, environ)
    seconds = indexed_job.peer_seconds(environ)
    cluster = _cluster(member, environ)
    try:
        config.per_replica_batch(member.workers)
    except ValueError as error:
        raise ConfigError(f"{error}, the workers of GANTRY_WORKERS") from None
    store = open_store(path.url)
    log = LogCopy(store, member.attempt, member.index)
    log.say(f"pod {member.pod}: worker {member.index} of {member.workers}, attempt {member.attempt}")
    pod = _Pod(member, path, config, store, log, arguments, environ)
    try:
        if cluster.is_chief:
            _record(store, path, log, environ)
        code = _supervise(pod, member, cluster, config, seconds)
        if code == EXIT_RESTART and pod.is_cancelled():
            code = EXIT_DONE
    except Ended:
        code = pod.interrupted()
    pod.end()
    try:
        termination.write(environ, pod.last_word(code))
    finally:
        log.close(_LAST_UPLOAD_SECONDS)
    return code


def _supervise(
    pod: "_Pod", member: Member, cluster: tf_config.Cluster, config: RunConfig, seconds: float
) -> int:
    """Meet the peers and keep a trainer going to the end; returns the exit code."""
    try:
        if not (cluster.alone or pod.environ.get("TF_CONFIG")):
            indexed_job.wait_for_peers(member, seconds, say=pod.say, pause=pod.pause)
        supervisor = Supervisor(
            pod,
            _meeting(member, cluster, config, pod.pause),
            leads=cluster.is_chief,
            limit=config.recovery.restarts_without_progress,
            peer_seconds=seconds,
        )
        return supervisor.run()
    except GantryError as error:
        pod.say(f"error: {error}")
        ownership.tell_lost(pod.store, error, pod=True)
        return error.exit_code


def _spare(member: Member, path: RunPath, environ: Mapping[str, str]) -> int:
    """Leave a run alone whose Job somebody has given more pods; with 0, as anything else would end it."""
    run = f"{path.experiment}/{path.name}"
    workers = "1 worker" if member.workers == 1 else f"{member.workers} workers"
    text = (
        f"this pod leaves, as the run has {workers} (GANTRY_WORKERS) and this would be worker "
        f"{member.index}, counted from 0; to train with more: launcher cancel {run} --root {path.root} && "
        f"launcher resume {run} --workers {member.index + 1} --root {path.root}"
    )
    print(text, flush=True)
    termination.write(environ, text)
    return EXIT_DONE


class _Pod:
    """The `Host` of this pod's supervisor: real processes, the run's folder and the log."""

    def __init__(
        self,
        member: Member,
        path: RunPath,
        config: RunConfig,
        store: Store,
        log: LogCopy,
        arguments: Sequence[str],
        environ: Mapping[str, str],
    ) -> None:
        self._member, self._path, self._config = member, path, config
        self.store, self._log = store, log
        self._trainer = [sys.executable, "-m", "trainer", "train", *arguments]
        self.environ = environ
        self._attempt = f"{member.job} attempt {member.attempt}"
        self._witness = lost.Witness(store, member.claimed)
        self._requests = Requests()
        self._lines = termination.LastLines()

    @property
    def asked(self) -> str:
        """Name of the signal by which we were asked to stop."""
        return self._requests.name if self._requests.asked is not None else ""

    def run(self, generation: Generation, restarts: int, because: str, over: Callable[[], str]) -> Ending:
        """Run a trainer of a generation."""
        member = self._member
        supervision = Supervision(True, self._attempt, restarts, because, begun=self._witness.has_seen)
        mine = surroundings.environment(self.environ) | supervision.environment()
        mine["PYTHONUNBUFFERED"] = "1"  # its lines are to be seen as they are printed
        mine.pop("TF_CONFIG", None)
        if not generation.cluster.alone:
            mine["TF_CONFIG"] = tf_config.tf_config(generation.cluster)
            self.say(f"generation {generation.number}: all {member.workers} workers have met")
        keep = _CHIEF_KEEP_SECONDS if member.index == 0 else _KEEP_SECONDS
        child = Child(f"worker {member.index}'s trainer", self._log, self._requests, keep)
        self._lines = child.lines
        try:
            return child.run(self._trainer, mine, over)
        finally:
            if child.has_record:
                self._witness.tell()

    def newest_step(self) -> int | None:
        """Step of the newest complete checkpoint."""
        try:
            return max(judged.complete(self.store), default=0)
        except GantryError:
            return None

    def restarts_before(self) -> int | None:
        """What status.json counts, when it is of this attempt and says that a trainer was at work."""
        said = self._read(layout.STATUS)
        if said.get("attempt") != self._attempt or said.get("state") in ("finished", "failed", "collapsed"):
            return None
        return int(said.get("restarts") or 0)

    def check_record(self) -> None:
        """Whether run.json is still there, if it ever was.

        Raises:
            RunLost: it was, and is not.
        """
        self._witness.check()

    def is_finished(self) -> bool:
        """Whether the result of the last step is there."""
        return finished_steps(self.store) >= self._config.steps

    def is_cancelled(self) -> bool:
        """Whether we were asked to stop because a person cancelled this attempt (cancel.json)."""
        cancelled: object = self._read(layout.CANCEL).get("attempt")
        return bool(self.asked) and cancelled == self._member.attempt

    def tell(self, state: str, message: str, restarts: int) -> None:
        """Put it into status.json."""
        idle = {"images_per_second": None, "eta_seconds": None, "storage": None}
        about = {"attempt": self._attempt, "restarts": restarts}
        amend(self.store, state=state, message=message, **about, **idle)
        if state == "failed":
            index.refresh(open_store(self._path.experiment_url), self._path.name, self.say)

    def say(self, text: str) -> None:
        """Add a line of our own to the log."""
        self._log.say(text)
        self._lines.feed(b"\n" + text.encode() + b"\n")

    def pause(self, seconds: float) -> None:
        """Sleep.

        Raises:
            PeerLost: we were asked to stop.
        """
        time.sleep(seconds)
        if self.asked:
            raise PeerLost(f"asked to stop ({self.asked}) while waiting for the other workers")

    def interrupted(self) -> int:
        """Say that a request to stop was not waited with until storage answers; returns the exit code."""
        self.say(f"stopped ({self.asked}) while storage did not answer; start again to go on")
        return EXIT_RESTART

    def end(self) -> None:
        """There is nothing more to wait for than the end of the log."""
        self._requests.end()

    def last_word(self, code: int) -> str:
        """What Kubernetes is to show of how this pod ended."""
        return self._lines.message(code)

    def _read(self, name: str) -> dict[str, Any]:
        """A JSON object of the run's folder, empty when it is not there, not readable or storage is away."""
        try:
            found = json.loads(self.store.read(name))
        except (GantryError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _record(store: Store, path: RunPath, log: LogCopy, environ: Mapping[str, str]) -> None:
    """Write cluster.json where nobody could before; the run goes on without it while storage is away.

    Raises:
        UserError: the template in the environment is none, or the store refuses us.
    """
    try:
        scheduled_run.write_record(store, path.name, environ)
    except StorageError as error:
        log.say(f"warning: {error}; this run cannot be followed or cancelled by its name")


def _cluster(member: Member, environ: Mapping[str, str]) -> tf_config.Cluster:
    """The workers by their pods' names, or as TF_CONFIG has them already: on the host's network, say.

    Its address of worker 0 is where the workers meet; trainers get ports of their own.

    Raises:
        UserError: TF_CONFIG is there and speaks of another job.
    """
    if not environ.get("TF_CONFIG"):
        return member.cluster
    cluster = tf_config.from_environment(environ)
    if (cluster.workers, cluster.index) != (member.workers, member.index):
        raise UserError(
            f"TF_CONFIG: is for worker {cluster.index} of {cluster.workers}, expected worker {member.index} "
            f"of {member.workers} (JOB_COMPLETION_INDEX, GANTRY_WORKERS)"
        )
    return cluster


def _meeting(
    member: Member, cluster: tf_config.Cluster, config: RunConfig, pause: Callable[[float], object]
) -> Meeting:
    """Where this pod meets the others.

    Raises:
        PeerLost: the chief's port stays taken.
    """
    if cluster.alone:
        return Alone()
    host, _, port = cluster.addresses[0].rpartition(":")
    silence = config.recovery.heartbeat_seconds
    if not cluster.is_chief:
        return Caller(member, silence, (host.strip("[]"), int(port)))
    end = time.monotonic() + _BIND_SECONDS
    while True:
        try:
            return Host(member, int(port), silence)
        except OSError as error:
            if time.monotonic() > end:
                raise PeerLost(
                    f"port {port}, at which the workers meet, is taken: {error.strerror}"
                ) from None
            pause(0.5)
