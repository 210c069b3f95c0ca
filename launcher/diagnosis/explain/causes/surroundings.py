"""Objects beside the pods that some causes want to see, by what the workers said; see `gathering`."""

from collections.abc import Iterator
from typing import NamedTuple

from launcher.diagnosis.explain.causes import peers, storage
from launcher.diagnosis.explain.facts import Facts


class Wanted(NamedTuple):
    """An object by name, or with an empty name all of a kind in the namespace."""

    kind: str
    name: str = ""


def wanted(facts: Facts) -> Iterator[Wanted]:
    """What to ask for, which a run that says nothing of the kind does not cost."""
    if peers.is_apart(facts):
        if name := peers.service_name(facts):
            yield Wanted("Service", name)
        yield Wanted("NetworkPolicy")
    if storage.is_refused(facts):
        yield Wanted("ServiceAccount", storage.service_account(facts))
