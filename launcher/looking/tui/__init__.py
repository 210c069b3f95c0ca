"""A run as a page that is redrawn while it trains: ``launcher watch``.

::

    feed    what the page shows, read again every two seconds, only what changed
    page    from that data to lines of a terminal; pure
    workers text  its workers; its lines
    chart   a metric as a few lines of blocks
    screen  the terminal itself: alternate screen, keys, and all as it was afterwards
"""

from launcher.looking.tui.feed import Feed, GridView, Page, Tail
from launcher.looking.tui.page import draw
from launcher.looking.tui.screen import check_terminal, show

__all__ = ["Feed", "GridView", "Page", "Tail", "check_terminal", "draw", "show"]
