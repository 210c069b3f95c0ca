"""What a supervisor tells the trainer that it starts, in the environment."""

from collections.abc import Mapping
from typing import NamedTuple

_SUPERVISED, _ATTEMPT = "GANTRY_SUPERVISED", "GANTRY_ATTEMPT_NAME"
_RESTARTS, _BECAUSE = "GANTRY_RESTARTS", "GANTRY_RESTARTED_BECAUSE"
_BEGUN = "GANTRY_BEGUN"
GRACE = "GANTRY_GRACE_SECONDS"
KEEP_SECONDS = 60.0
"""What a trainer that has lost its peers may take for what is in flight; as long as a pod's grace."""


class Supervision(NamedTuple):
    """How a trainer was started."""

    supervised: bool = False
    """Whether standard input is a line to a supervisor."""
    attempt: str = ""
    """Name of the attempt: the same in a pod and in the one that replaces it."""
    restarts: int = 0
    """How often the supervisor has started the trainer again."""
    because: str = ""
    """Why it did the last time."""
    grace_seconds: float | None = None
    """What the pod is given to save when it is asked to stop."""

    begun: bool = False
    """Whether the run has had its record: one that is not there is lost and not still to be written."""

    def environment(self) -> dict[str, str]:
        """Variables for the trainer; the grace is there already, from the manifests."""
        return {
            _SUPERVISED: "1", _ATTEMPT: self.attempt, _RESTARTS: str(self.restarts), _BECAUSE: self.because,
            _BEGUN: "1" if self.begun else "",
        }  # fmt: skip


def from_environment(environ: Mapping[str, str]) -> Supervision:
    """What the supervisor said, or that there is none."""
    if not environ.get(_SUPERVISED):
        return Supervision()
    grace = environ.get(GRACE, "")
    return Supervision(
        True,
        environ.get(_ATTEMPT, ""),
        int(environ.get(_RESTARTS) or 0),
        environ.get(_BECAUSE, ""),
        float(grace) if grace.isdecimal() else None,
        bool(environ.get(_BEGUN)),
    )
