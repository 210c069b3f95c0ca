"""Runs beside one another: in what they differ, how they ended, and their curves in one picture.

::

    runs         what each run was and came to, from its folder alone
    differences  the values that are not the same in all of them
    picture      the curves
"""

from launcher.looking.compare.differences import Difference
from launcher.looking.compare.picture import draw
from launcher.looking.compare.runs import Compared, Comparison, compare

__all__ = ["Compared", "Comparison", "Difference", "compare", "draw"]
