"""What is said of a run that is well, or on its way."""

from launcher.backends.kubernetes.pods import is_there, pod_status
from launcher.explain.facts import Facts
from launcher.states import FINISHED, PENDING, RUNNING, STARTING, STOPPING

_PASSING = frozenset({"ContainerCreating", "Pending", "Terminating", ""})


def sentence_of(facts: Facts) -> str:
    """One sentence about a run that is well."""
    now = facts.status
    if now.state == FINISHED:
        return f"{facts.name} is finished at step {now.step}"
    if now.state == RUNNING:
        restarts = now.restarts + now.trainer_restarts
        again = f", after {restarts} restart{'s' * (restarts > 1)}" if restarts else ""
        more = "" if now.step is None else f", step {now.step} of {now.steps}{_rest(now.eta_seconds)}"
        return f"{facts.name} trains{more}{again}"
    what = {STARTING: "starts", STOPPING: "is stopping", PENDING: "is being started"}.get(now.state)
    told = f": {now.explanation}" if now.explanation else ""
    return f"{facts.name} {what or 'is ' + now.state}{told}"


def passing(facts: Facts) -> bool:
    """Whether a run that does not train yet, or is stopping, is only on its way."""
    now = facts.status
    if now.state in (STARTING, STOPPING):
        return True
    if now.state != PENDING:
        return False
    pods = [pod_status(worker, pods) for worker, pods in facts.workers.items()]
    return all(pod.ready or pod.done or pod.reason in _PASSING for pod in pods) and all(
        map(is_there, facts.pods)
    )


def _rest(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f", {seconds / 60:.0f} min left" if seconds >= 60 else f", {seconds:.0f} s left"
