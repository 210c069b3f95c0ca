"""``launcher tensorboard``: TensorBoard on the scalars and grids of runs."""

import signal
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import Context, Namespace, Root, Runs, at_home, note
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.looking.tensorboard import Logs

_LOOK_SECONDS = 5.0  # between two looks at the runs; a trainer writes its lines as often


def tensorboard(
    runs: Runs,
    root: Root = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            help="Port to serve on, 0 for any free one; the first free one from 6006 on by default.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to serve on; 0.0.0.0 lets other machines in.")
    ] = "localhost",
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="DIR",
            callback=at_home,
            help="Write the event files into this folder and leave, instead of serving them.",
            show_default=False,
        ),
    ] = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Serve TensorBoard on the scalars and grids of one run or several.

    Reads them from the bucket or folder, keeps them current while a run goes on, and serves until Ctrl-C,
    which removes what it wrote for TensorBoard. The relative time axis shows time spent training.

    Example: launcher tensorboard demo-20260102-x7k2

    Example: launcher tensorboard demo-20260102-x7k2 mlp-20260103-a1b2 --port 0

    Example: launcher tensorboard demo-20260102-x7k2 --export events
    """
    from launcher.looking import tensorboard as boards

    place = place_of(root, context, namespace)
    if export is not None:
        count = boards.export(place, runs, export)
        typer.echo(f"{count} values and grids written to {export}: tensorboard --logdir {export}")
        return
    signal.signal(signal.SIGTERM, _as_ctrl_c)  # or what was written for TensorBoard would stay behind
    with boards.board(place, runs, host, port) as (url, logs), suppress(KeyboardInterrupt):
        typer.echo(f"TensorBoard on {', '.join(runs)}: {url} (Ctrl-C ends it)")
        _keep_current(logs)


def _keep_current(logs: "Logs") -> None:
    """Until Ctrl-C; storage that does not answer is told once, and asked again."""
    from trainer.errors import GantryError

    told = False
    while True:
        time.sleep(_LOOK_SECONDS)
        try:
            logs.update()
            told = False
        except GantryError as error:
            if not told:
                note(f"what TensorBoard shows is not current: {error}")
            told = True


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
