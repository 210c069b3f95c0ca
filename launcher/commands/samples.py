"""``launcher samples``: the grids that a run draws, copied here, opened, filmed, or drawn in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    OutputFormat,
    Root,
    Run,
    at_home,
    console,
    note,
    print_data,
    size,
)
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.looking.samples import Film, Grid
    from launcher.records.run_folder import Found


def samples(
    run: Run,
    root: Root = None,
    step: Annotated[
        int | None,
        typer.Option("--step", min=0, metavar="N", help="The grid of this step; the newest by default."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            callback=at_home,
            help="Folder to copy the grid into, made if absent; the working folder by default.",
            show_default=False,
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it with the system's viewer.")] = False,
    draw: Annotated[
        bool,
        typer.Option("--print", help="Draw it in the terminal; copies it only with --to as well."),
    ] = False,
    gif: Annotated[
        Path | None,
        typer.Option(
            "--gif",
            metavar="FILE",
            callback=at_home,
            help="Write all grids in order as an animated GIF; copies one only with --to as well.",
            show_default=False,
        ),
    ] = None,
    fps: Annotated[float, typer.Option("--fps", min=0.1, max=50, help="Frames a second of the GIF.")] = 8.0,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="Write its step below each frame of the GIF.")
    ] = False,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Fetch the newest grid of samples of a run, and say where it is.

    A grid shows what the generator makes of the same latents, so that one sees it learn. Works while a run
    trains and long after.

    Example: launcher samples demo-20260102-x7k2 --open

    Example: launcher samples demo-20260102-x7k2 --gif learning.gif --numbers --fps 12
    """
    from launcher.looking.samples import choose, list_grids
    from launcher.runs.find import find

    _check(step, draw, open_, gif, output)
    program = _viewer() if open_ else None
    found = find(place_of(root, context, namespace), run)
    done: dict[str, Any] = {"run": found.path.name, "experiment": found.path.experiment}
    if gif is not None:
        done["gif"] = _film(found, gif, fps, numbers, output)
    if gif is None or draw or open_ or to is not None:
        grid = choose(found, list_grids(found.store), step)
        done |= {"step": grid.step}
        if draw:
            _draw(found, grid)
        if to is not None or program or not (draw or gif):
            done |= _copy(found, grid, to or Path(), program, output)
    if output is not OutputFormat.text:
        print_data(done, output)


def _check(step: int | None, draw: bool, open_: bool, gif: Path | None, output: OutputFormat) -> None:
    """Refuse options that contradict each other, before anything is asked or written."""
    from launcher.errors import SpecError

    if gif is not None and step is not None:
        raise SpecError(f"--gif {gif} and --step {step}: expected one of the two, as a film has all steps")
    if draw and output is not OutputFormat.text:
        raise SpecError(f"--print and --output {output.value}: expected one of the two, both write to stdout")
    if gif is not None and gif.suffix.lower() != ".gif":
        raise SpecError(f"--gif {gif}: expected a name that ends with .gif")


def _viewer() -> str:
    from launcher.looking.samples.viewer import viewer

    return viewer()


def _film(found: "Found", gif: Path, fps: float, numbers: bool, output: OutputFormat) -> "Film":
    from launcher.looking.samples import make_film

    film = make_film(found, gif, fps, numbers=numbers)
    if film.damaged:
        note(f"left out, as they are no whole pictures: {', '.join(film.damaged)}")
    if output is TEXT:
        span = f"steps {film.steps[0]} to {film.steps[-1]}"
        typer.echo(f"{film.path}: {len(film.steps)} frames, {span}, {size(film.bytes)}")
    return film


def _draw(found: "Found", grid: "Grid") -> None:
    from launcher.looking.samples.blocks import blocks

    screen = console()
    screen.print(blocks(found.store.read(grid.name), grid.name, screen.width))
    screen.print(f"step {grid.step}, drawn {grid.updated[:19].replace('T', ' ')}Z", markup=False)


def _copy(
    found: "Found", grid: "Grid", to: Path, program: str | None, output: OutputFormat
) -> dict[str, Any]:
    from launcher.looking.samples import fetch
    from launcher.looking.samples.viewer import show

    fetched = fetch(found, grid, to)
    if output is TEXT:
        typer.echo(f"{fetched.path}: step {fetched.step}, {size(fetched.bytes)}")
    if program:
        show(program, fetched.path)
    return {"path": fetched.path, "bytes": fetched.bytes}
