"""The index of an experiment: its runs, in one object. Free of TensorFlow, so the launcher reads it too."""

from trainer.index.book import Snapshot, load, look, read, rebuild, remove, update
from trainer.index.entry import Entry, Source, describe

__all__ = ["Entry", "Snapshot", "Source", "describe", "load", "look", "read", "rebuild", "remove", "update"]
