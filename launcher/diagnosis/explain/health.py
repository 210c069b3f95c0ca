"""What is said of a run that is well, or on its way."""

from launcher.backends.kubernetes.status.endings import disruption
from launcher.backends.kubernetes.status.jobs import workers_of
from launcher.backends.kubernetes.status.pods import PodStatus, is_there, pod_status
from launcher.backends.kubernetes.status.wording import one_line
from launcher.diagnosis.explain.causes.refusals import refused
from launcher.diagnosis.explain.causes.throttled import harmful
from launcher.diagnosis.explain.evidence import since
from launcher.diagnosis.explain.facts import Facts
from launcher.records.states import FINISHED, PENDING, RESTARTING, RUNNING, STARTING, STOPPING
from launcher.spec.durations import spoken
from trainer.errors import EXIT_RESTART

_PASSING = frozenset({"ContainerCreating", "Pending", "Terminating", ""})
_RESTART_SECONDS = (
    300.0  # for a new pod and two trainers' start; the Job's controller waits up to a minute first
)


_NO_POD_SECONDS = 60.0  # the controller makes 500 pods in a quarter of this


def sentence_of(facts: Facts) -> str:
    """One sentence about a run that is well; what its pods were given unasked may do it harm all the same."""
    now = facts.status
    over = now.state == FINISHED
    told = f"{facts.name} is finished at step {now.step}" if over else _standing(facts)
    otherwise = now.health or (None if over else harmful(facts))
    return told + (f"; but {otherwise}" if otherwise else "")


def _standing(facts: Facts) -> str:
    now = facts.status
    if now.state == RUNNING:
        restarts = now.restarts + now.trainer_restarts
        again = f", after {restarts} restart{'s' * (restarts > 1)}" if restarts else ""
        more = "" if now.step is None else f", step {now.step} of {now.steps}{_rest(now.eta_seconds)}"
        why = one_line(facts.said.get("restarted_because")) if restarts else ""
        return f"{facts.name} trains{more}{again}" + (f"; the last because {why}" if why else "")
    what = {STARTING: "starts", STOPPING: "is stopping", PENDING: "is being started"}.get(now.state)
    told = f": {now.explanation}" if now.explanation else ""
    return f"{facts.name} {what or 'is ' + now.state}{told}"


def passing(facts: Facts) -> bool:
    """Whether a run that does not train yet, or is stopping, is only on its way."""
    now = facts.status
    if now.state in (STARTING, STOPPING):
        return True
    pods = [pod_status(worker, pods, facts.events) for worker, pods in facts.workers.items()]
    if now.state == RESTARTING:
        waited = now.age_seconds or 0.0
        return waited < _RESTART_SECONDS and all(_goes_on(facts, pod) for pod in pods)
    if now.state != PENDING or refused(facts) or not all(map(is_there, facts.pods)):
        return False
    return all(pod.ready or pod.done or pod.reason in _PASSING for pod in pods) and not _waits_long(facts)


def _waits_long(facts: Facts) -> bool:
    """Whether a worker has no pod, though the Job has been at it for long."""
    job = facts.job
    if job is None or len(facts.workers) >= workers_of(job):
        return False
    return (since((job.get("status") or {}).get("startTime"), facts.time) or 0.0) > _NO_POD_SECONDS


def _goes_on(facts: Facts, pod: PodStatus) -> bool:
    """Whether a worker of a run that restarts has a pod that runs, is made, or ended so that a new one is."""
    ended = pod.exit_code == EXIT_RESTART or pod.reason == "Deleted"
    taken = pod.phase == "Failed" and disruption(facts.workers[pod.worker][0]) is not None
    return pod.ready or pod.done or ended or taken or pod.reason in _PASSING


def _rest(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f", {spoken(seconds)} left"
