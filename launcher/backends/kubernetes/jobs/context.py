"""Which of a workstation's contexts is the cluster that a run was submitted to."""

from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.errors import ClusterUnreachable
from launcher.spec.kubeconfig import contexts


def context_of(record: ClusterRecord) -> str | None:
    """The context for the cluster that a run was submitted to, None where no kubeconfig has any.

    Names of contexts are each workstation's own, so the server's address tells: a Job that is not there must
    not be taken for one that is gone.

    Raises:
        BadKubeconfig: a file is damaged.
        ClusterUnreachable: no context has that address.
    """
    known = contexts()
    if not known:
        return None
    same = [context.name for context in known if context.server == record.server]
    if not same:
        raise ClusterUnreachable(
            f"no cluster reachable: the run was submitted to {record.server} as context '{record.context}', "
            "and no context of the kubeconfig has that address (--context names one that is the same cluster)"
        )
    return record.context if record.context in same else same[0]
