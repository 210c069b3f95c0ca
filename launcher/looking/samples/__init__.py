"""The grids of a run, of its generator and of real images: found, copied, filmed, and drawn in a terminal.

::

    grids      which there are, and one of them brought here
    pictures   from PNG to pixels
    film       all of them in order as an animated GIF
    blocks     pixels as characters
    viewer     the system's own program for pictures
"""

from launcher.looking.samples.film import Film, make_film
from launcher.looking.samples.grids import (
    Fetched,
    Grid,
    RealGrid,
    best_grid,
    check_out,
    choose,
    fetch,
    list_grids,
    real_grid,
)

__all__ = [
    "Fetched",
    "Film",
    "Grid",
    "RealGrid",
    "best_grid",
    "check_out",
    "choose",
    "fetch",
    "list_grids",
    "make_film",
    "real_grid",
]
