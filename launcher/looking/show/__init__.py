"""Everything about one run, as far as its folder and its cluster tell it.

::

    run       all of it put together; what is damaged is told, and the rest is there all the same
    objects   what one listing of the folder shows: checkpoints, grids, logs, sizes
    settings  the configuration's values that are not the preset's or the defaults
"""

from launcher.looking.show.objects import Attempt, Inventory, SavedCheckpoint, SavedSamples
from launcher.looking.show.run import NextStep, Shown, show
from launcher.looking.show.settings import Setting

__all__ = [
    "Attempt",
    "Inventory",
    "NextStep",
    "SavedCheckpoint",
    "SavedSamples",
    "Setting",
    "Shown",
    "show",
]
