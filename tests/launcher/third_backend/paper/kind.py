"""What a clerk asks of a specification."""

from launcher.errors import refuse
from launcher.spec.kinds import Kind


def _check(spec):
    if spec.workers > 2:
        raise refuse("workers", spec.workers, "at most 2, a hand each")


KIND = Kind(
    name="paper",
    check=_check,
    takes=frozenset({"memory", "grace_seconds"}),
    hints={"gpus": "hands have none"},
)
