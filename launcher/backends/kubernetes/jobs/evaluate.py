"""Having a run's checkpoints judged in the cluster, by a Job of one pod.

The Job is made as a run's is: suspended, then what it owns, then released, and one delete takes all of it
back. Nothing is claimed in the run's folder: what its pod writes there is `evaluations/` alone. Whoever asks
for the same again while one is under way is given that one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from launcher.backends.base import Judged
from launcher.backends.kubernetes.client.api import Api, connect
from launcher.backends.kubernetes.jobs.owner import owner_of, sign
from launcher.backends.kubernetes.jobs.preflight import preflight
from launcher.backends.kubernetes.jobs.submit import (
    TAKEN_BACK,
    Manifests,
    create_all,
    placed,
    remove_all,
)
from launcher.backends.kubernetes.logs.job_logs import PodLogs
from launcher.backends.kubernetes.status.evaluations import OwnEvaluation, of_job, under_way
from launcher.backends.kubernetes.status.jobs import verdict
from launcher.backends.kubernetes.status.pods import newest_pods, pod_status
from launcher.backends.kubernetes.status.watch import wait
from launcher.errors import Interrupted, nothing_sent
from launcher.render.evaluation import asked, evaluation_name, render_evaluation
from launcher.render.labels import ASKED, annotation
from launcher.spec.runspec import RunSpec
from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER, GantryError
from trainer.storage import Store

_UNDO_PATIENCE = 20.0  # seconds, as for a submission
_READ_SECONDS = 0.5
_LOOKS = 6  # reads without a line between two looks at a pod that may not begin


class Evaluation:
    """An evaluation that the cluster has taken over."""

    def __init__(self, own: OwnEvaluation, store: Store, *, joined: bool) -> None:
        """`joined`: it was under way before it was asked for here."""
        self._own, self._store, self.joined = own, store, joined
        self.name = own.name

    def follow(self) -> Iterator[list[str]]:
        """Lines of its log and words about a pod that does not begin, until it has ended."""
        silent, told = 0, ""
        with PodLogs(self._own, self._store) as logs:
            while not logs.done:
                lines = [line.text for line in logs.read(_READ_SECONDS)]
                silent = 0 if lines else silent + 1
                if silent % _LOOKS == _LOOKS - 1 and (words := self._pod()) not in ("", told):
                    lines, told = [words], words
                yield lines

    def ending(self) -> Judged:
        """How it ended; waits until its controller has said so, a moment after the last line of its log."""
        waited = wait(self._own, None, lambda: self._code() in (EXIT_DONE, EXIT_USER))
        found = None if waited.job is None else verdict(waited.job)
        code = self._code()
        if code == EXIT_DONE or (found is not None and found.succeeded):
            return Judged(EXIT_DONE, "")
        if waited.end == "gone":
            return Judged(EXIT_RESTART, "its Job was removed before it had ended")
        said = self._pod() or (found.message if found else "")
        return Judged(EXIT_FAILED if code is None else code, said)

    def _code(self) -> int | None:
        """With which its newest trainer has left; a mesh's container may keep the pod, and so the Job."""
        return pod_status(0, self._pods()).exit_code

    def _pods(self) -> Sequence[Mapping[str, Any]]:
        """Its pods, the newest first."""
        return newest_pods(self._own.pods()).get(0, [])

    def _pod(self) -> str:
        """What its newest pod is at where it does not simply run, empty where nothing is known."""
        pods = self._pods()
        if not pods:
            return ""
        return pod_status(0, pods).explanation.replace("worker 0", f"pod {pods[0]['metadata']['name']}", 1)


def evaluate(spec: RunSpec, words: Sequence[str], store: Store) -> Evaluation:
    """Have a run judged; returns when the cluster has all of it, long before there are figures.

    Args:
        spec: of the run, with the resources of the pod that judges it.
        words: what the trainer is told.
        store: the run's folder.

    Raises:
        UserError: the cluster refuses it; nothing was kept.
        ClusterLost: the API server went away; the text says whether something may be left there.
    """
    with nothing_sent():
        api = connect(spec.context, spec.namespace)
        spec = placed(spec, api)
        for job in under_way(api, spec.path):
            if annotation(job, ASKED) == asked(words):
                return Evaluation(of_job(api, spec.path, job), store, joined=True)
        manifests = render_evaluation(spec, evaluation_name(spec.name), words)
        preflight(api, manifests, spec)
        sign(manifests[0], owner_of(api))
    try:
        job = create_all(api, manifests)
    except BaseException as error:  # Ctrl-C too
        _take_back(api, manifests, error)
        raise
    return Evaluation(of_job(api, spec.path, job), store, joined=False)


def _take_back(api: Api, manifests: Manifests, error: BaseException) -> None:
    """Undo what was sent.

    Raises:
        Interrupted: it was a person who ended it.
        GantryError: something may be left.
    """
    api.transport.patience = _UNDO_PATIENCE
    try:
        remove_all(api, manifests)
    except (GantryError, KeyboardInterrupt) as failure:
        where = f"Job '{manifests[0]['metadata']['name']}' in namespace '{api.namespace}'"
        because = f"{error or 'interrupted'}; not all could be taken back ({failure or 'interrupted'})"
        raise GantryError(f"{because}: look at {where}") from error
    if isinstance(error, KeyboardInterrupt):
        raise Interrupted(TAKEN_BACK) from error
