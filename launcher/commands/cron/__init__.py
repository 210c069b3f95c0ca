"""``launcher cron``: runs that start by themselves, again and again."""

import typer

from launcher.commands.cron.changing import create, diff, update
from launcher.commands.cron.controlling import delete, resume, suspend, trigger
from launcher.commands.cron.looking import history, list_, logs, next_, show

app = typer.Typer(
    help="Train again and again by a cron line: each firing is a run of its own.\n\n"
    'Example: launcher cron create nightly --schedule "0 3 * * *" --time-zone Europe/Paris -f run.yaml',
    rich_markup_mode=None,
    no_args_is_help=False,
)
app.command("create")(create)
app.command("update")(update)
app.command("diff")(diff)
app.command("list")(list_)
app.command("show")(show)
app.command("next")(next_)
app.command("suspend")(suspend)
app.command("resume")(resume)
app.command("trigger")(trigger)
app.command("history")(history)
app.command("logs")(logs)
app.command("delete")(delete)
