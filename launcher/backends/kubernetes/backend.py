"""Runs whose workers are pods of an Indexed Job: the cluster and the run's folder, joined.

The folder outlives the Job, so everything but stopping works without the cluster. One that cannot be reached
is no reason to hide what the folder says.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from launcher.backends.base import PLAIN, Backend, LogChoice, Options, Update
from launcher.backends.kubernetes.client.api import Api, connect
from launcher.backends.kubernetes.client.login import IN_CLUSTER
from launcher.backends.kubernetes.jobs import stop, submit
from launcher.backends.kubernetes.jobs.cancellation import announce_cancel
from launcher.backends.kubernetes.jobs.claim import sent_manifests
from launcher.backends.kubernetes.jobs.context import context_of
from launcher.backends.kubernetes.jobs.record import ClusterRecord, keep_record
from launcher.backends.kubernetes.kind import KIND
from launcher.backends.kubernetes.logs.job_logs import PodLogs, read_logs
from launcher.backends.kubernetes.logs.stream import Begin
from launcher.backends.kubernetes.status import joining, observe
from launcher.backends.kubernetes.status.latest import Latest
from launcher.backends.kubernetes.status.ours import Own, is_job_of
from launcher.backends.kubernetes.status.overview import Known
from launcher.backends.kubernetes.status.watch import wait
from launcher.errors import CannotAsk, SpecError
from launcher.notes import note
from launcher.records.follow import LogLine, log_attempts
from launcher.records.run_folder import Found
from launcher.records.states import (
    COLLAPSED,
    FAILED,
    FINISHED,
    STOPPED,
    State,
    unasked,
)
from launcher.records.status import Files, RunStatus, read_files
from launcher.records.stored_logs import stored_logs
from launcher.spec.next_commands import command_line
from launcher.spec.runspec import RunSpec
from trainer.errors import GantryError

_LINES_SECONDS = 0.25


class KubernetesBackend:
    """Pods of a cluster."""

    name = KIND.name

    def __init__(
        self,
        record: ClusterRecord,
        context: str | None = None,
        namespace: str | None = None,
        job: dict[str, Any] | None = None,
    ) -> None:
        """`job`: the record's Job as the cluster has just shown it, which saves the first look a request."""
        self.record = record
        self._context, self._namespace, self._job = context, namespace, job

    @cached_property
    def api(self) -> Api:
        """The run's cluster.

        Raises:
            ClusterUnreachable: none of the user's contexts is of the cluster that it was submitted to.
        """
        context = self._context or context_of(self.record)
        return connect(context, self._namespace or self.record.namespace)

    def own(self, found: Found) -> Own:
        """The newest attempt's own objects, where the run is looked for."""
        record = self.record
        return Own(self.api, found.path, record.job, record.attempt, record.uid)

    def status(self, found: Found) -> RunStatus:
        """Where a run stands, from cluster and folder, or the folder alone if no cluster can be asked."""
        try:
            seen = self.look(found)
        except CannotAsk as error:
            return self.without_cluster(found, error)
        # Read after the pods were looked at: a trainer that has ended since has written its last word.
        return self.joined(found, read_files(found.store), seen)

    def look(self, found: Found) -> observe.Seen:
        """What the cluster shows of the attempt now.

        Raises:
            UserError: no cluster answers, or it refuses us.
        """
        job, self._job = self._job, None
        return observe.look(self.own(found), job)

    def listed(self, found: Found, jobs: Callable[[], Known], files: Files | None = None) -> RunStatus:
        """The same for a table of many runs: from the Jobs that are known, without pods.

        `jobs` are those of the namespace that it was submitted to, or why they cannot be asked for: then the
        folder tells. `files` is what is known of that, else it is read.
        """
        try:
            known = jobs()
        except CannotAsk as error:
            return self.without_cluster(found, error, files, checkpoint=False)
        job, record = known.by_name.get(self.record.job), self.record
        if job is not None and not is_job_of(job, found.path, record.attempt, record.uid):
            job = None
        seen = observe.Seen(job, time=known.time)
        return self.joined(found, files or read_files(found.store), seen, pods=False)

    def by_files(self, found: Found, files: Files) -> State:
        """The state by the files alone; no cluster is asked."""
        return unasked(files.said, files.age, "no cluster was asked")

    def asked(self, found: Found) -> dict[str, Any] | None:
        """What ``cluster.json`` says, or the Job of a firing that has not written it yet."""
        return dict(self.record.spec)

    def placed(self) -> dict[str, Any]:
        """The same cluster, whatever this workstation calls it."""
        context = None if self.api.context == IN_CLUSTER else self.api.context
        return {"context": context, "namespace": self.api.namespace}

    def logs(self, found: Found, choice: LogChoice) -> list[LogLine]:
        """Lines so far, of the pods while there are any, else of the folder."""
        if choice.attempt not in (None, self.record.attempt):
            return stored_logs(found.store, choice.attempt, choice.worker, choice.tail)
        self._check_worker(choice.worker)
        begin = Begin(choice.tail, choice.since_seconds)
        try:
            return read_logs(self.own(found), found.store, worker=choice.worker, begin=begin)
        except CannotAsk as error:
            return self._stored(found, choice, error)

    def _stored(self, found: Found, choice: LogChoice, error: CannotAsk) -> list[LogLine]:
        """Lines of the copy in the folder, which is told; `error` where it cannot stand in for the pods."""
        attempt = self.record.attempt
        if choice.since_seconds is not None or attempt not in log_attempts(found.store):
            raise error
        note(f"this is the copy in the run's folder, since the cluster cannot be asked: {error}")
        return stored_logs(found.store, attempt, choice.worker, choice.tail)

    def follow(self, found: Found, choice: LogChoice) -> Iterator[Update]:
        """What the workers write and where the run stands, until its Job has ended and all was read."""
        self._check_worker(choice.worker)
        begin = Begin(choice.tail, choice.since_seconds)
        try:
            followed = PodLogs(self.own(found), found.store, worker=choice.worker, begin=begin)
        except CannotAsk as error:
            now = self._finished(found, error)
            yield Update(self._stored(found, choice, error), now)
            return
        with followed as pods, Latest(lambda: self.status(found)) as latest:
            if pods.note:
                self.api.transport.note(pods.note)
            while not pods.done:
                yield Update(pods.read(_LINES_SECONDS), latest.status)
        yield Update([], self.wait(found, None) or latest.status)

    def wait(self, found: Found, seconds: float | None) -> RunStatus | None:
        """How the run ended, told by a watch within a second; None when it has not after `seconds`."""
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            if wait(self.own(found), seconds, lambda: self._is_over(found)).end == "late":
                return None
        except CannotAsk as error:
            return self._finished(found, error)
        while not (now := self.status(found)).over:  # a cancelled Job's pods save before they leave
            if deadline is not None and time.monotonic() > deadline:
                return None
            time.sleep(_LINES_SECONDS)
        return now

    def _is_over(self, found: Found) -> bool:
        with suppress(GantryError):  # it is asked again, and how the run ended is told by another look
            return not self.status(found).live
        return False

    def check_idle(self, found: Found, *, abandon: bool = False) -> None:
        """Refuse a run whose pods live, here or, unless `abandon`, where its last attempt was submitted to.

        Raises:
            RunAlive: it has not ended.
            SpecError: the other place cannot be asked.
        """
        submit.check_idle(self.own(found))
        if abandon or not (self._context or self._namespace):
            return
        try:
            before = KubernetesBackend(self.record)
            if (before.api.server, before.api.namespace) != (self.api.server, self.api.namespace):
                submit.check_idle(before.own(found))
        except CannotAsk as error:
            raise SpecError(
                f"run '{found.path.name}': attempt {self.record.attempt} is in namespace "
                f"'{self.record.namespace}' of {self.record.server}, which cannot be asked whether it has "
                f"ended ({error}); where that cluster is gone for good, add --abandon"
            ) from error

    def resume(self, found: Found, spec: RunSpec, options: Options = PLAIN) -> submit.Submitted:
        """Submit the next attempt to the same cluster, whatever this workstation calls it."""
        return submit.start(self._here(spec), resuming=True)

    def check_next(self, found: Found, spec: RunSpec, options: Options = PLAIN) -> None:
        """Refuse what `resume` would refuse but for the attempt that is under way."""
        submit.check(self._here(spec), resuming=True)

    def _here(self, spec: RunSpec) -> RunSpec:
        where = {"context": self._context or context_of(self.record), "namespace": self.api.namespace}
        return spec.model_copy(update=where)

    def request_stop(self, found: Found, *, kill: bool = False) -> bool:
        """Ask the pods to save and stop; False when the Job has ended or is gone."""
        return stop.request_stop(self.own(found), kill=kill, announce=self._announcement(found))

    def cancel(self, found: Found, *, kill: bool = False) -> RunStatus:
        """Ask the pods to save and stop and wait until they are gone; the Job stays, suspended.

        Raises:
            GantryError: they are not gone in time, or nothing of a run that has not ended was found.
        """
        self._job = None  # as it was when the run was looked for
        if not stop.cancel(self.own(found), kill=kill, announce=self._announcement(found)):
            again = command_line("cancel", found.path, "--now")
            raise GantryError(
                f"run '{found.path.name}' has not ended after its grace; kill its pods with `{again}`"
            )
        for name in stop.end_evaluations(self.api, found.path):
            note(f"its evaluation, Job '{name}', was ended too")
        now = self.status(found)
        if now.state not in (FINISHED, FAILED, COLLAPSED, STOPPED):
            raise GantryError(
                f"run '{now.run}' is {now.state}, and nothing of it was found in {self.where(found)} that "
                f"could be stopped: {now.explanation}"
            )
        return now

    @contextmanager
    def held(self, found: Found) -> Iterator[None]:
        """Nothing needs holding: `delete` returns when the last pod is gone, and files go after that."""
        yield

    def delete(self, found: Found) -> list[str]:
        """Remove every Job of the run, and what belongs to them."""
        return stop.delete(self.api, found.path, sent_manifests(found.store))

    def where(self, found: Found) -> str:
        """The run's namespace."""
        return f"namespace '{self.api.namespace}' of context '{self.api.context}'"

    def _announcement(self, found: Found) -> Callable[[], None]:
        def announce() -> None:
            if self.record.spec:  # else it is a Job's word alone, with which no run could go on
                keep_record(found.store, self.record)
            announce_cancel(found.store, self.record.attempt)

        return announce

    def joined(self, found: Found, files: Files, seen: observe.Seen, pods: bool = True) -> RunStatus:
        """The same from what was seen and read; see `joining.joined`."""
        return joining.joined(self.record, found, files, seen, (lambda: self.api) if pods else None)

    def without_cluster(
        self, found: Found, error: GantryError, files: Files | None = None, checkpoint: bool = True
    ) -> RunStatus:
        """The same where no cluster was asked; see `joining.without_cluster`."""
        return joining.without_cluster(self.record, found, error, files, checkpoint)

    def _finished(self, found: Found, error: CannotAsk) -> RunStatus:
        """A run that has finished, by its folder; one that failed or was stopped there may have begun again.

        Raises:
            CannotAsk: `error`, for any other.
        """
        files = read_files(found.store)
        now, said = self.without_cluster(found, error, files), files.said or {}
        own = f"{self.record.job} attempt {self.record.attempt}"  # as a pod's first process calls it
        if now.state != FINISHED or said.get("attempt") not in (None, own):
            raise error
        return now

    def _check_worker(self, worker: int | None) -> None:
        if worker is not None and worker >= self.record.workers:
            raise SpecError(f"--worker {worker}: expected 0 to {self.record.workers - 1}")


def of_pods(backend: Backend) -> KubernetesBackend | None:
    """The backend of a run whose workers are pods, None for any other."""
    return backend if isinstance(backend, KubernetesBackend) else None
