"""A metric as blocks that grow from below, as wide as there is room and one line high or more."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = " .:|"  # the same where the encoding has no blocks
_FLAT = 0.5  # where a curve without any change is drawn, of the height


@dataclass(frozen=True)
class Chart:
    """Values for rich to print."""

    values: Sequence[float]
    """In order; thinned out to the width by taking means."""
    height: int = 1
    """Lines."""
    low: float | None = None
    """Value at the bottom; None for the lowest there is."""
    high: float | None = None
    """Value at the top; None for the highest there is."""
    style: str = ""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        style = Style.parse(self.style)
        for line in self.lines(options.max_width, ascii_only=options.ascii_only):
            yield Segment(line, style)
            yield Segment.line()

    def lines(self, width: int, *, ascii_only: bool = False) -> list[str]:
        """The chart from its top line to its bottom, each at most `width` characters."""
        levels = _ASCII if ascii_only else _BLOCKS
        each = len(levels) - 1  # levels of one line
        heights = [1 + round(share * (self.height * each - 1)) for share in self._shares(width)]
        return [
            "".join(levels[min(each, max(0, height - row * each))] for height in heights)
            for row in reversed(range(self.height))
        ]

    def _shares(self, width: int) -> list[float]:
        """For each column, how high it is between bottom (0) and top (1)."""
        columns = means(self.values, width)
        if not columns:
            return []
        low = min(columns) if self.low is None else self.low
        high = max(columns) if self.high is None else self.high
        if high <= low:
            return [_FLAT] * len(columns)
        return [min(1.0, max(0.0, (value - low) / (high - low))) for value in columns]


def means(values: Sequence[float], count: int) -> list[float]:
    """At most `count` values, each the mean of as many neighbours as the others, give or take one."""
    size = len(values)
    if size <= count:
        return list(values)
    cuts = [place * size // count for place in range(count + 1)]
    return [sum(values[cuts[at] : cuts[at + 1]]) / (cuts[at + 1] - cuts[at]) for at in range(count)]
