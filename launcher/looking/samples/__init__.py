"""The grids that a run draws of its generator: found, copied, filmed, and drawn in a terminal.

::

    grids      which there are, and one of them brought here
    pictures   from PNG to pixels
    film       all of them in order as an animated GIF
    blocks     pixels as characters
    viewer     the system's own program for pictures
"""

from launcher.looking.samples.film import Film, make_film
from launcher.looking.samples.grids import Fetched, Grid, choose, fetch, list_grids

__all__ = ["Fetched", "Film", "Grid", "choose", "fetch", "list_grids", "make_film"]
