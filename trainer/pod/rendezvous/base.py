"""What workers are told when they have met, and what a supervisor needs of the place."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from trainer.environment.tf_config import Cluster

NOTE_SECONDS = 10.0  # between two lines on whom we wait for
RETRY_SECONDS = 0.5

Say = Callable[[str], object]
Pause = Callable[[float], object]


class Generation(NamedTuple):
    """One building of the strategy."""

    number: int
    """Counts from 1 in the life of the chief's pod."""
    cluster: Cluster
    """The addresses of its trainers and which one is ours."""


class Meeting(Protocol):
    """What a supervisor needs of the place where workers meet."""

    def gather(self, seconds: float, say: Say, pause: Pause) -> Generation:
        """Wait until all workers are there.

        Raises:
            PeerLost: some did not come for so long.
        """

    def over(self) -> str:
        """Why the generation is over, empty while it is not."""

    def end(self, reason: str, done: bool = False) -> None:
        """Our trainer has ended: `done` when it took the last step, else the generation is over for all."""


class Alone:
    """The meeting of a worker that has no peers."""

    def __init__(self) -> None:
        self._number = 0

    def gather(self, seconds: float, say: Say, pause: Pause) -> Generation:
        """At once."""
        self._number += 1
        return Generation(self._number, Cluster())

    def over(self) -> str:
        """Never."""
        return ""

    def end(self, reason: str, done: bool = False) -> None:
        """Nobody is to be told."""
