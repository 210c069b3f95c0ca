"""One run as one HTML file that needs nothing else: no network, no other file, no JavaScript.

`material.gather` reads the run, `page.render` makes the text; in between is data. Everything in a run's files
was written by somebody: the template escapes all of it, and the page's own policy allows no script but the
one that belongs to it, and no request at all.
"""

from launcher.looking.report.material import Material, gather
from launcher.looking.report.page import render
from launcher.looking.report.writing import Written, write_report

__all__ = ["Material", "Written", "gather", "render", "write_report"]
