"""Where to look for runs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.spec.kubeconfig import current

if TYPE_CHECKING:  # the client takes 0.4 s to import, which local runs need not pay
    from launcher.backends.kubernetes.client.api import Api


@dataclass(frozen=True)
class Place:
    """Where to look for runs; what is None is found out."""

    root: str | None = None
    """Folder or ``gs://bucket/prefix``; None looks in ``runs`` and then asks the cluster."""
    context: str | None = None
    """Context of the kubeconfig, as typed; None is the run's own, else the usual or the current one."""
    namespace: str | None = None
    """Namespace of the cluster, as typed; None is the run's own, else the usual or the context's."""
    usual_context: str | None = None
    """Context where neither the command nor the run's record says one."""
    usual_namespace: str | None = None
    """Namespace where neither the command nor the run's record says one."""

    @property
    def has_cluster(self) -> bool:
        """Whether a cluster could be asked: a context was named, or a kubeconfig has a current one.

        Raises:
            BadKubeconfig: there is no context of that name, or a file is damaged.
        """
        return current(self.context or self.usual_context) is not None

    def connect(self) -> "Api":
        """The cluster to ask about runs that are not known yet."""
        from launcher.backends.kubernetes.client.api import connect

        return connect(self.context or self.usual_context, self.namespace or self.usual_namespace)
