"""Where the workers of a run live: on this machine, in pods of a cluster, and what else has a folder here.

A backend is one folder with two modules. ``kind`` has a `KIND`: what is known of it without a run, see
`launcher.spec.kinds`; it imports nothing heavy, as each specification is checked by one. ``provider`` has a
`PROVIDER`, see `launcher.backends.base`: it starts runs, finds them, and makes the `Backend` of one.

Whoever deals with runs of any kind asks these, and imports no folder here; import-linter holds that for
``commands``, ``runs``, ``looking``, ``sweeps``, ``spec`` and ``render``. What is about Kubernetes itself
imports `launcher.backends.kubernetes`: ``schedules``, which are CronJobs, and in ``diagnosis`` the facts of a
cluster, which no other kind of place has.
"""

import importlib
from typing import TYPE_CHECKING

from launcher.spec import kinds

if TYPE_CHECKING:  # which reads runs' records, and each specification comes by here
    from launcher.backends.base import Provider


def providers() -> "list[Provider]":
    """Those of all backends in the order in which they are asked, `rest` last."""
    return [_load(name) for name in kinds.names()]


def named(name: str) -> "Provider":
    """The provider of a backend.

    Raises:
        FieldError: there is none of that name.
    """
    return _load(kinds.kind(name).name)


def rest() -> "Provider":
    """That of the backend which takes what no other does: runs that are files alone."""
    return providers()[-1]


def _load(name: str) -> "Provider":
    loaded: Provider = importlib.import_module(f"{__name__}.{name}.provider").PROVIDER
    return loaded
