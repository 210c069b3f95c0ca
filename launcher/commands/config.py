"""``launcher config``: the settings of a run, and where each came from."""

import sys

import typer

from launcher.commands.common import TEXT, Output, OutputFormat, print_data
from launcher.commands.options import RunFlags, with_run_flags

app = typer.Typer(
    help="Look at settings: flags, files, the environment and what is built in.\n\n"
    "Example: launcher config show -f run.yaml",
    rich_markup_mode=None,
    no_args_is_help=False,
)


@app.command("show")
@with_run_flags
def show(flags: RunFlags, output: Output = TEXT) -> None:
    """Show every value that submit would use with these flags, and where it came from.

    Flags win over the file of -f, then come $GANTRY_ROOT, ./gantry.yaml, ~/.config/gantry/gantry.yaml and
    what is built in. `python -m trainer config` shows the hyperparameters that nothing sets.

    Example: launcher config show -f run.yaml --workers 4
    """
    from launcher.spec.settings import shown

    found = shown(flags.settings())
    if output is not OutputFormat.text:
        print_data({key: setting._asdict() for key, setting in found.items()}, output)
        return
    rows = [(key, _text(setting.value), setting.origin) for key, setting in found.items()]
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    sys.stdout.write(
        "".join(f"{key:<{wide[0]}}  {value:<{wide[1]}}  {origin}\n" for key, value, origin in rows)
    )


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "-"
    return "-" if value is None else str(value)
