"""The first process of a pod: finds its peers, runs the trainer as its child, keeps a copy of what it says.

It imports no TensorFlow: it is there within a second, takes little memory and outlives whatever the trainer
does to itself. What the trainer prints goes to stdout byte for byte and, through `LogCopy`, to the run's
folder; its exit code is passed on, since the Job's podFailurePolicy reads it.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from trainer import cluster, indexed_job, termination
from trainer.config import RunConfig
from trainer.errors import EXIT_FAILED, EXIT_RESTART, ConfigError, GantryError, PeerLost, UserError
from trainer.indexed_job import Member
from trainer.layout import RunPath
from trainer.log_copy import LogCopy
from trainer.storage import open_store

_LAST_UPLOAD_SECONDS = 20.0  # of the pod's grace, for the end of the log
_READ_BYTES = 64 << 10
_POLL_SECONDS = 1.0


def work(path: RunPath, config: RunConfig, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do one pod's work: run ``trainer train`` with these arguments; returns the exit code.

    Raises:
        UserError: the environment, the configuration or the run's address is wrong; nothing was started.
    """
    member = indexed_job.from_environment(environ)
    seconds = indexed_job.peer_seconds(environ)
    team = _team(member, environ)
    try:
        config.per_replica_batch(member.workers)
    except ValueError as error:
        raise ConfigError(f"{error}, the workers of GANTRY_WORKERS") from None
    log = LogCopy(open_store(path.url), member.attempt, member.index)
    pod = _Pod(member, log)
    log.say(f"pod {member.pod}: worker {member.index} of {member.workers}, attempt {member.attempt}")
    try:
        if not (team.alone or environ.get("TF_CONFIG")):
            indexed_job.wait_for_peers(member, seconds, say=log.say, pause=pod.pause)
        trainer = [sys.executable, "-m", "trainer", "train", *arguments]
        code = pod.run(trainer, _environment(team, environ))
    except GantryError as error:
        pod.say_error(error)
        code = error.exit_code
    finally:
        log.close(_LAST_UPLOAD_SECONDS)
    termination.write(environ, pod.lines.message(code))
    return code


class _Pod:
    """What runs here, and what it was asked."""

    def __init__(self, member: Member, log: LogCopy) -> None:
        self.lines = termination.LastLines()
        self._member, self._log = member, log
        self._child: subprocess.Popen[bytes] | None = None
        self._asked: int | None = None
        self._told = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def say_error(self, error: Exception) -> None:
        """Add an error of our own to the log."""
        text = f"error: {error}"
        self._log.say(text)
        self.lines.feed(b"\n" + text.encode() + b"\n")

    def pause(self, seconds: float) -> None:
        """Sleep.

        Raises:
            PeerLost: we were asked to stop.
        """
        time.sleep(seconds)
        if self._asked is not None:
            raise PeerLost(f"asked to stop ({_name(self._asked)}) while waiting for the other workers")

    def run(self, trainer: Sequence[str], environ: Mapping[str, str]) -> int:
        """Run the trainer to its end; returns the exit code for this process.

        Raises:
            PeerLost: we were asked to stop before.
        """
        if self._asked is not None:
            raise PeerLost(f"asked to stop ({_name(self._asked)}) before training began")
        child = subprocess.Popen(
            trainer,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # out of reach of an init that signals our whole group: it is told once, by us
        )
        self._child = child
        try:
            self._pass_on()
            self._listen(child)
            return self._exit_code(child.wait())
        finally:
            if child.poll() is None:
                child.kill()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = self._asked or number
        self._pass_on()

    def _pass_on(self) -> None:
        """Tell the trainer what we were asked, once."""
        if self._child is not None and self._asked is not None and not self._told:
            self._told = True
            self._child.send_signal(self._asked)

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        """Pass on what the trainer says until it is gone."""
        assert child.stdout is not None
        pipe = child.stdout.fileno()
        while True:
            self._log.tick()
            if select.select([pipe], [], [], _POLL_SECONDS)[0]:
                data = os.read(pipe, _READ_BYTES)
                if not data:
                    return
                self._log.write(data)
                self.lines.feed(data)
            elif child.poll() is not None:  # a process that it left behind holds the pipe
                return

    def _exit_code(self, returned: int) -> int:
        """The code that the Job is to see for how the trainer ended, negative for a signal."""
        if returned >= 0:
            return returned
        if -returned == self._asked:  # it was still starting and had nothing to save
            return EXIT_RESTART
        hint = ", most often for want of memory" if -returned == signal.SIGKILL else ""
        self.say_error(
            GantryError(f"the trainer of worker {self._member.index} died of {_name(-returned)}{hint}")
        )
        return EXIT_FAILED


def _team(member: Member, environ: Mapping[str, str]) -> cluster.Cluster:
    """The workers by their pods' names, or as TF_CONFIG has them already: on the host's network, say.

    Raises:
        UserError: TF_CONFIG is there and speaks of another job.
    """
    if not environ.get("TF_CONFIG"):
        return member.cluster
    team = cluster.from_environment(environ)
    if (team.workers, team.index) != (member.workers, member.index):
        raise UserError(
            f"TF_CONFIG: is for worker {team.index} of {team.workers}, expected worker {member.index} of "
            f"{member.workers} (JOB_COMPLETION_INDEX, GANTRY_WORKERS)"
        )
    return team


def _environment(team: cluster.Cluster, environ: Mapping[str, str]) -> dict[str, str]:
    """The trainer's environment."""
    mine = dict(environ) | {"PYTHONUNBUFFERED": "1"}  # its lines are to be seen as they are printed
    if not team.alone:
        mine["TF_CONFIG"] = cluster.tf_config(team)
    return mine


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
