"""``launcher samples``: where the grids of a run are; copied, opened, filmed, or drawn in the terminal."""

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
from launcher.wording import counted
from trainer.run import layout

if TYPE_CHECKING:
    from launcher.looking.samples import Film, Grid, RealGrid
    from launcher.records.run_folder import Found


def samples(
    run: Run,
    root: Root = None,
    step: Annotated[
        int | None,
        typer.Option("--step", min=0, metavar="N", help="The grid of this step; the newest by default."),
    ] = None,
    real: Annotated[
        bool, typer.Option("--real", help="The grid of real images that the run has drawn beside its own.")
    ] = False,
    best: Annotated[
        bool,
        typer.Option("--best", help="The grid of the checkpoint that is best by the figures of training."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "--to",
            metavar="PATH",
            callback=at_home,
            help="Copy the grid to this PNG file, or as RUN-STEP.png into this folder, made if absent.",
            show_default=False,
        ),
    ] = None,
    open_: Annotated[
        bool,
        typer.Option(
            "--open",
            help="Open it with the system's viewer; of a run in a bucket, the copy that --out names.",
        ),
    ] = False,
    draw: Annotated[bool, typer.Option("--print", help="Draw it in the terminal.")] = False,
    gif: Annotated[
        Path | None,
        typer.Option(
            "--gif",
            metavar="FILE",
            callback=at_home,
            help="Write all grids in order to this file, as an animated GIF.",
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
    """Say where the newest grid of samples of a run is, in the run's own folder.

    A grid shows what the generator makes of the same latents, so that one sees it learn. Works while a run
    trains and long after. Nothing is written but what --out and --gif name, and nothing is drawn anew:
    `launcher sample` does that.

    Example: launcher samples demo-20260102-x7k2 --open

    Example: launcher samples demo-20260102-x7k2 --root gs://bucket/gan --out here

    Example: launcher samples demo-20260102-x7k2 --gif learning.gif --numbers --fps 12
    """
    from launcher.runs.find import find

    _check(step, real, best, draw, gif, output)
    if out is not None:
        _check_out(out)
    program = _viewer() if open_ else None
    found = find(place_of(root, context, namespace), run)
    if open_ and out is None:
        _check_here(found)
    done: dict[str, Any] = {"run": found.path.name, "experiment": found.path.experiment}
    if gif is not None:
        done["gif"] = _film(found, gif, fps, numbers, output)
    if gif is None or draw or open_ or real or best or out is not None:
        grid = _choose(found, step, real, best)
        done |= {"step": grid.step}
        if draw:
            _draw(found, grid)
        if out is not None:
            done |= _copy(found, grid, out, output)
        elif open_ or not draw:
            done |= _tell(found, grid, output)
        if program:
            _show(program, done["path"])
    if output is not OutputFormat.text:
        print_data(done, output)


def _check(
    step: int | None, real: bool, best: bool, draw: bool, gif: Path | None, output: OutputFormat
) -> None:
    """Refuse options that contradict each other, before anything is asked or written."""
    from launcher.errors import SpecError

    if best and (real or step is not None):
        other = "--real" if real else f"--step {step}"
        raise SpecError(f"--best and {other}: expected one of the two")
    if gif is not None and step is not None:
        raise SpecError(f"--gif {gif} and --step {step}: expected one of the two, as a film has all steps")
    if real and step is not None:
        raise SpecError(f"--real and --step {step}: expected one of the two, as real images have no step")
    if draw and output is not OutputFormat.text:
        raise SpecError(f"--print and --output {output.value}: expected one of the two, both write to stdout")
    if gif is not None and gif.suffix.lower() != ".gif":
        raise SpecError(f"--gif {gif}: expected a name that ends with .gif")


def _check_out(out: Path) -> None:
    from launcher.looking.samples import check_out

    check_out(out)


def _check_here(found: "Found") -> None:
    """Refuse to open what is in a bucket."""
    from launcher.errors import SpecError

    if _in_bucket(found):
        raise SpecError(
            f"--open: expected --out too, for a copy, as run '{found.path.name}' is in {found.store.url}"
        )


def _in_bucket(found: "Found") -> bool:
    return "://" in found.path.root


def _viewer() -> str:
    from launcher.looking.samples.viewer import viewer

    return viewer()


def _choose(found: "Found", step: int | None, real: bool, best: bool) -> "Grid | RealGrid":
    from launcher.looking.samples import best_grid, choose, list_grids, real_grid

    if best:
        return best_grid(found)
    return real_grid(found) if real else choose(found, list_grids(found.store), step)


def _film(found: "Found", gif: Path, fps: float, numbers: bool, output: OutputFormat) -> "Film":
    from launcher.looking.samples import make_film

    film = make_film(found, gif, fps, numbers=numbers)
    if film.damaged:
        note(f"left out, as they are no whole pictures: {', '.join(film.damaged)}")
    if output is TEXT:
        span = f"steps {film.steps[0]} to {film.steps[-1]}"
        typer.echo(f"{film.path}: {counted(len(film.steps), 'frame')}, {span}, {size(film.bytes)}")
    return film


def _draw(found: "Found", grid: "Grid | RealGrid") -> None:
    from launcher.looking.samples.blocks import blocks

    screen = console()
    screen.print(blocks(found.store.read(grid.name), grid.name, screen.width))
    screen.print(f"{grid.title}, drawn {grid.updated[:19].replace('T', ' ')}Z", markup=False)


def _tell(found: "Found", grid: "Grid | RealGrid", output: OutputFormat) -> dict[str, Any]:
    """Say where a grid is that the run has drawn, and what brings one here that is in a bucket."""
    from launcher.spec.next_commands import command_line

    path = f"{found.store.url}/{grid.name}"
    if output is TEXT:
        typer.echo(f"{path}: {grid.title}, {size(grid.size)}")
        if _in_bucket(found):
            which = ["--real"] if grid.step is None else ["--step", str(grid.step)]
            which = ["--best"] if grid.name == layout.BEST_GRID else which
            line = command_line("samples", found.path, *which, "--out", found.path.name)
            note(f"`{line}` brings it here")
    return {"path": path, "bytes": grid.size}


def _copy(found: "Found", grid: "Grid | RealGrid", out: Path, output: OutputFormat) -> dict[str, Any]:
    from launcher.looking.samples import fetch

    fetched = fetch(found, grid, out)
    if output is TEXT:
        typer.echo(f"{fetched.path}: {grid.title}, {size(fetched.bytes)}")
    return {"path": fetched.path, "bytes": fetched.bytes}


def _show(program: str, path: str) -> None:
    from launcher.looking.samples.viewer import show

    show(program, path)
