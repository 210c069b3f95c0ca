"""The index of an experiment: its runs, in one object. Free of TensorFlow, so the launcher reads it too."""

from trainer.run.index.book import Snapshot, finished, load, look, read, rebuild, remove, update
from trainer.run.index.entry import Entry, Figure, Source, describe
from trainer.run.index.keeper import CLOSE_SECONDS, IndexKeeper, judged_anew, refresh

__all__ = [
    "CLOSE_SECONDS",
    "Entry",
    "Figure",
    "IndexKeeper",
    "Snapshot",
    "Source",
    "describe",
    "finished",
    "judged_anew",
    "load",
    "look",
    "read",
    "rebuild",
    "refresh",
    "remove",
    "update",
]
