"""``launcher --help`` in panels: the verbs by what somebody is about to do.

typer draws its `rich_help_panel` with rich alone, which takes longer to import than the rest of ``--help``.
"""

from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup

RUNS, LOOKING, SCHEDULES = "Runs", "Looking", "Schedules"
BEFORE, FILES = "Before a run", "Files"
PANELS = (RUNS, LOOKING, SCHEDULES, BEFORE, FILES)


def in_panels(group: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The commands of a group by panel, in the order of `PANELS`, and in each as they were registered."""
    for panel in PANELS:
        yield panel, {name: each for name, each in group.commands.items() if each.rich_help_panel == panel}


class PanelGroup(TyperGroup):
    """A group of commands whose help has a section for each panel."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections."""
        wide = max(map(len, self.commands))
        for panel, commands in in_panels(self):
            rows = [
                (name.ljust(wide), each.get_short_help_str(formatter.width - 6 - wide))
                for name, each in commands.items()
            ]
            with formatter.section(panel):
                formatter.write_dl(rows)
