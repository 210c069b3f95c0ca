"""How many workers the quotas of a namespace have room for; pure functions of objects."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from launcher.backends.kubernetes.capacity.requests import Amounts, amounts, counts, use_of

Object = Mapping[str, Any]


def workers_within(
    quotas: Iterable[Object], pod: Mapping[str, Any], *, empty: bool = False, most: int = 100_000
) -> int:
    """How many workers with such a pod's spec quotas have room for, at most `most`.

    With `empty` when nothing else is in the namespace, else beside what is in use now.
    """
    asked = use_of(pod)
    for quota in filter(counts, quotas):
        status = quota.get("status") or {}
        hard = amounts(status.get("hard") or quota["spec"].get("hard"))
        used = {} if empty else amounts(status.get("used"))
        most = min(most, fitting(asked, {key: hard[key] - used.get(key, 0) for key in hard}, most))
    return most


def fitting(asked: Amounts, room: Amounts, most: int) -> int:
    """How many times some amounts fit into what there is of the same names; at most `most`."""
    found = [int(room[key] // amount) for key, amount in asked.items() if key in room and amount]
    return max(0, min([most, *found]))


def even(workers: int, batch: int, gpus: int = 0) -> int:
    """The most workers, no more than so many, that share a global batch evenly; 0 when none can."""
    each = max(1, gpus)
    return next((count for count in range(min(workers, batch), 0, -1) if batch % (count * each) == 0), 0)


def fewer(quotas: Sequence[Object], pod: Mapping[str, Any], workers: int, batch: int, gpus: int = 0) -> int:
    """How many workers to ask for instead of `workers`: those that fit now, else in an empty namespace.

    0 when no smaller number fits either.
    """
    for empty in (False, True):
        count = even(workers_within(quotas, pod, empty=empty, most=workers), batch, gpus)
        if count:
            return count if count < workers else 0
    return 0


def used_by(pods: Iterable[Object]) -> Amounts:
    """What pods that have not ended take of quotas, by a quota's names."""
    total: Amounts = {}
    for pod in pods:
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        for name, amount in (use_of(pod["spec"]) if not ended else {}).items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total
