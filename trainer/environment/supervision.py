"""What a supervisor tells the trainer that it starts, in the environment, and what it is told back."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

_SUPERVISED, _ATTEMPT = "GANTRY_SUPERVISED", "GANTRY_ATTEMPT_NAME"
_RESTARTS, _BECAUSE = "GANTRY_RESTARTS", "GANTRY_RESTARTED_BECAUSE"
_BEGUN = "GANTRY_BEGUN"
RECORD_PIPE = "GANTRY_RECORD_PIPE"
"""Descriptor to which a trainer writes a byte once the run has its record."""
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

    record_pipe: int | None = None
    """Where to say that the run has its record; the supervisor outlives us, and asks storage too rarely."""

    def tell_record(self) -> None:
        """Say that the run has its record."""
        if self.record_pipe is not None:
            with suppress(OSError):  # the supervisor is gone, or it was said before
                os.write(self.record_pipe, b".")

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
    grace, pipe = environ.get(GRACE, ""), environ.get(RECORD_PIPE, "")
    return Supervision(
        True,
        environ.get(_ATTEMPT, ""),
        int(environ.get(_RESTARTS) or 0),
        environ.get(_BECAUSE, ""),
        float(grace) if grace.isdecimal() else None,
        bool(environ.get(_BEGUN)),
        int(pipe) if pipe.isdecimal() else None,
    )
