"""The options of a schedule, shared by the commands that change one."""

import dataclasses
from enum import StrEnum
from typing import Annotated, Any

import typer

from launcher.commands.common import whole_seconds
from launcher.commands.completion import complete_schedule
from launcher.commands.options import RunFlags


class Policy(StrEnum):
    """What becomes of a firing that is due while one runs."""

    FORBID = "Forbid"
    ALLOW = "Allow"
    REPLACE = "Replace"


_NAME = typer.Argument(
    metavar="NAME", help="Name of the schedule.", show_default=False, autocompletion=complete_schedule
)
Line = typer.Option(
    "--schedule", metavar="LINE", help='Cron line, such as "0 3 * * 1", or @daily.', show_default=False
)
Zone = typer.Option(
    "--time-zone",
    metavar="ZONE",
    help="Time zone of the cron line, such as Europe/Paris; Etc/UTC by default.",
)
Name = Annotated[str, _NAME]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclasses.dataclass
class ScheduleFlags(RunFlags):
    """The flags of a run, but for its name, which is the schedule's, and when it fires."""

    name: Annotated[str, _NAME] = ...  # type: ignore[assignment]
    schedule: Annotated[str | None, Line] = None
    time_zone: Annotated[str | None, Zone] = None
    concurrency_policy: Annotated[
        Policy | None,
        typer.Option(
            "--concurrency-policy",
            help="While a firing runs, the next one waits and may be missed (Forbid, the default), runs "
            "beside it (Allow), or stops it (Replace).",
        ),
    ] = None
    starting_deadline_seconds: Annotated[
        int | None,
        typer.Option(
            "--starting-deadline",
            metavar="TIME",
            parser=whole_seconds,
            help="How late a firing may begin before it is missed; an hour by default.",
        ),
    ] = None
    successful_history: Annotated[
        int | None,
        typer.Option(
            "--successful-history",
            min=0,
            help="Jobs of finished firings that the cluster keeps; 3 by default.",
        ),
    ] = None
    failed_history: Annotated[
        int | None,
        typer.Option(
            "--failed-history", min=0, help="Jobs of failed firings that the cluster keeps; 3 by default."
        ),
    ] = None

    def timing(self) -> dict[str, Any]:
        """Fields of a `Timing` that were given."""
        own = {field.name for field in dataclasses.fields(ScheduleFlags)} - set(self.of_run())
        values = {name: value for name in own if (value := getattr(self, name)) is not None}
        return {name: str(value) if isinstance(value, Policy) else value for name, value in values.items()}


@dataclasses.dataclass
class NewScheduleFlags(ScheduleFlags):
    """The same for a schedule that is not there yet, which needs its cron line."""

    schedule: Annotated[str, Line] = ...  # type: ignore[assignment]
