"""The Jobs that a launcher made, of one namespace or of all that the user may read.

What could not be read is told, so that nobody takes a run for gone that nobody asked about.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.errors import CannotAsk, Forbidden, NamespaceMissing

if TYPE_CHECKING:  # the client takes 0.4 s to import, which local runs need not pay
    from launcher.backends.kubernetes.client.api import Api

Job = dict[str, Any]
HEARD = (Forbidden, NamespaceMissing)
"""What a cluster says of one namespace; of the others it may say something else."""


class Readable(NamedTuple):
    """What could be read."""

    jobs: list[Job]
    time: datetime | None
    """When it was so, by the API server's clock."""
    server: str | None
    """Address of the API server, None where there is none to ask."""
    namespaces: frozenset[str] | None = frozenset()
    """Those that were read; None for all."""
    error: CannotAsk | None = None
    """Why nothing could be read."""
    notes: tuple[str, ...] = ()
    """What could not be read, for the user to know."""

    def has(self, namespace: str) -> bool:
        """Whether the answer, or the lack of one, is about a namespace."""
        return self.namespaces is None or namespace in self.namespaces


def read_jobs(connect: "Callable[[], Api]", everywhere: bool = False) -> Readable:
    """Jobs of the namespace that `connect` leads to, or of all that the user may read."""
    server, here = None, frozenset[str]()
    try:
        api = connect()
        server, here = api.server, frozenset({api.namespace})
        if everywhere:
            return _everywhere(api)
        from launcher.backends.kubernetes.status.observe import jobs

        return Readable(jobs(api), api.now, server, here)
    except CannotAsk as error:
        return Readable([], None, server, here, error, (f"the table is of the files alone: {error}",))


def _everywhere(api: "Api") -> Readable:
    """Jobs of all namespaces in one request, or where that is not allowed of each one that can be read."""
    from launcher.backends.kubernetes.status.observe import all_jobs

    try:
        return Readable(all_jobs(api), api.now, api.server, None)
    except Forbidden:
        pass
    names, known = _namespaces(api)
    found, refused = _each(api, names)
    if api.namespace in refused and len(refused) == len(names):
        raise refused[api.namespace]
    notes = [f"namespaces whose Jobs you may not list: {', '.join(sorted(refused))}"] if refused else []
    if not known:
        notes.append(
            "you may list neither the Jobs of all namespaces nor the namespaces: these are those of the "
            f"kubeconfig's contexts, {', '.join(sorted(names))}"
        )
    read = frozenset(names) - set(refused)
    return Readable(found, api.now, api.server, read, notes=tuple(notes))


def _namespaces(api: "Api") -> tuple[list[str], bool]:
    """Names of namespaces, and whether these are all; else those that the kubeconfig has of this cluster."""
    from launcher.spec.kubeconfig import context_names, current

    try:
        return [str(each["metadata"]["name"]) for each in api.list("Namespace")["items"]], True
    except Forbidden:
        contexts = filter(None, map(current, context_names()))
        same = {context.namespace for context in contexts if context.server == api.server}
        return sorted({api.namespace, *same}), False


def _each(api: "Api", names: Iterable[str]) -> tuple[list[Job], dict[str, Forbidden]]:
    from launcher.backends.kubernetes.status.observe import jobs

    found: list[Job] = []
    refused: dict[str, Forbidden] = {}
    for name in names:
        try:
            found += jobs(api.inside(name))
        except Forbidden as error:
            refused[name] = error
    return found, refused
