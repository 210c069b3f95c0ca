"""Pods that train on though their Job was deleted."""

from launcher.backends.kubernetes.status.ours import is_orphan
from launcher.diagnosis.explain.base import Cause, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.evidence import from_field, present
from launcher.diagnosis.explain.facts import Facts
from launcher.wording import counted


def orphaned(facts: Facts) -> Finding | None:
    """The Job was deleted with ``--cascade=orphan``, or somebody took its name off the pods."""
    left = [pod for pod in facts.pods if is_orphan(pod)]
    if facts.job is not None or not left:
        return None
    sentence = (
        f"the Job of {facts.name} was deleted without its pods (--cascade=orphan): "
        f"{counted(len(left), 'pod')} train on, and one that ends has no successor"
    )
    seen = [from_field(pod, "Pod", "metadata.ownerReferences", "none") for pod in left[:2]]
    return Finding(sentence, present(seen), restart.resume(facts))


ORPHANED = Cause(
    "orphaned",
    "The Job was deleted without its pods",
    "The Job is gone (kubectl delete --cascade=orphan), and pods of the run train on without an owner",
    "Cancel, which asks such pods too, and resume, which makes a Job anew; or let them finish",
    orphaned,
)
