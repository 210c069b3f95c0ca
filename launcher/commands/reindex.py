"""``launcher reindex``: write the list of an experiment's runs anew."""

import typer

from launcher.commands.common import TEXT, Output, OutputFormat, Root, note, print_data
from launcher.commands.list import Experiment
from launcher.commands.place import place_of
from launcher.wording import counted


def reindex(root: Root = None, experiment: Experiment = None, output: Output = TEXT) -> None:
    """Write the index of every experiment anew, from the runs' own folders.

    Runs keep their experiment's index.json themselves, so that thousands of them are listed in a moment. This
    is for a bucket whose runs are older than the index, or were copied or removed by other programs. It reads
    three small objects of each run, and runs may go on meanwhile.

    Example: launcher reindex --root gs://bucket/gan --experiment faces
    """
    from launcher.runs import verbs

    place = place_of(root, None, None)
    done = verbs.reindex(place, experiment)
    if output is not OutputFormat.text:
        print_data([each._asdict() for each in done], output)
    for each in done if output is OutputFormat.text else ():
        typer.echo(f"{each.experiment}: {counted(each.runs, 'run')}")
    if not done:
        note(f"no experiments in {place.root or 'runs'}")
