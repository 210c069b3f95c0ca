"""An answer in time or none: storage's client is patient for minutes, which suits training, not questions."""

import threading
from collections.abc import Callable
from typing import TypeVar

from trainer.errors import StorageError

T = TypeVar("T")


def within(seconds: float, ask: Callable[[], T], what: str) -> T:
    """What `ask` returns or raises, asked on a thread that is left alone when the time is up.

    Raises:
        StorageError: `what` has not answered in time.
    """
    answers: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="ask", daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not answers:
        raise StorageError(f"{what}: no answer in {seconds:.0f} s")
    return answers[0]
