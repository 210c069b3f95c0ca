"""Waiting for what a cluster does, with an end."""

import time
from collections.abc import Callable
from typing import Any

from trainer.run import layout
from trainer.storage import Store

_PAUSE_SECONDS = 1.0  # an answer of `launcher status` takes a second of a processor that others wait for
_DEADLINE_SECONDS = 180.0  # two workers import TensorFlow on two busy cores in 20 s


def wait_until(condition: Callable[[], Any], what: str, seconds: float = _DEADLINE_SECONDS) -> Any:
    """Ask again and again until the answer is true; the answer.

    Raises:
        AssertionError: it has not become so in time.
    """
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(_PAUSE_SECONDS)
    return answer


def first_checkpoint(store: Store, seconds: float) -> None:
    """Wait until a run has a whole checkpoint."""
    wait_until(
        lambda: any(layout.is_complete(found.name, found.size) for found in store.list("checkpoints/")),
        "a checkpoint",
        seconds,
    )
