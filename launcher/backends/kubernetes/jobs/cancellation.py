"""``cancel.json``: a person's wish to stop one attempt, where its pods look when they are told to stop.

A pod that finds it leaves with 0 and not with 42, by which its Job counts no failure and makes no successor.
"""

import json
import threading
from datetime import UTC, datetime

from launcher.notes import say
from launcher.records.status import read_json
from trainer.errors import GantryError
from trainer.run import layout
from trainer.storage import Store

# A bucket that is away is tried again for minutes, and cancelling is not to wait for it.
_PATIENCE_SECONDS = 15.0


def was_cancelled(store: Store, attempt: int) -> bool:
    """Whether somebody asked this attempt to stop.

    Raises:
        GantryError: the file cannot be read or is damaged.
    """
    found = read_json(store, layout.CANCEL)
    return found is not None and found.get("attempt") == attempt


def announce_cancel(store: Store, attempt: int, seconds: float = _PATIENCE_SECONDS) -> None:
    """Write the wish into the run's folder; one that cannot be written is told on stderr, no more."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    content = json.dumps({"attempt": attempt, "time": time}).encode()
    failures: list[str] = []

    def write() -> None:
        try:
            store.write(layout.CANCEL, content)
        except GantryError as error:
            failures.append(str(error))

    thread = threading.Thread(target=write, name="cancel.json", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        failures.append(f"{store.url} has not answered for {seconds:.0f} s")
    if failures:
        say(f"warning: {failures[0]}; the run is cancelled all the same, but its pods leave with 42")
