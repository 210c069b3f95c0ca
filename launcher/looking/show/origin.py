"""Where a run's newest attempt was submitted or started, without anything secret.

Of the workers' environment the names are shown and no values: what somebody hands to a program there is
nobody else's concern.
"""

from dataclasses import dataclass, field
from typing import Any

from launcher.backends.kubernetes.jobs import record as cluster
from launcher.backends.local import record as local
from launcher.spec.redaction import without_password
from trainer.storage import Store

_ELSEWHERE = frozenset({"preset", "overrides", "root", "experiment", "name", "workers", "env"})


@dataclass
class Submitted:
    """An attempt on a cluster."""

    attempt: int
    job: str
    namespace: str
    context: str
    server: str
    submitted: str
    """ISO time, UTC."""
    workers: int
    env: list[str]
    """Names of the variables that were set."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What else of the specification was given, such as image, gpus and profiles."""


@dataclass
class Started:
    """An attempt on a machine."""

    attempt: int
    host: str
    workers: int
    threads: int
    started: str
    """ISO time, UTC."""
    ended: str | None
    exit_code: int | None


def submitted(store: Store) -> Submitted | None:
    """The newest attempt on a cluster, None when there was none.

    Raises:
        GantryError: the record of it is damaged.
    """
    found = cluster.read_record(store)
    if found is None:
        return None
    given = {key: value for key, value in found.spec.items() if key not in _ELSEWHERE and value}
    return Submitted(
        attempt=found.attempt,
        job=found.job,
        namespace=found.namespace,
        context=found.context,
        server=without_password(found.server),
        submitted=found.submitted,
        workers=found.workers,
        env=sorted(found.spec.get("env") or {}),
        settings=given,
    )


def started(store: Store) -> Started | None:
    """The newest attempt on a machine, None when there was none.

    Raises:
        GantryError: the record of it is damaged.
    """
    found = local.read_record(store)
    if found is None:
        return None
    return Started(
        attempt=found.attempt,
        host=found.host,
        workers=found.workers,
        threads=found.threads,
        started=found.started,
        ended=found.ended,
        exit_code=found.exit_code,
    )
