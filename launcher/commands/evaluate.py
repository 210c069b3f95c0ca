"""``launcher evaluate``: whether a run's images are good."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import Context, Namespace, Root, Run, note, print_json
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.backends.base import Evaluating
    from launcher.records.run_folder import Found
    from launcher.runs.evaluating import Wanted
    from trainer.run.evaluations import Entry


class Form(StrEnum):
    """How figures are printed."""

    text = "text"
    json = "json"


class On(StrEnum):
    """Where a run is judged."""

    here = "here"
    cluster = "cluster"


def evaluate(
    run: Run,
    root: Root = None,
    step: Annotated[
        str,
        typer.Option("--step", metavar="STEP", help="Checkpoint's step; newest; best; or all, oldest first."),
    ] = "newest",
    samples: Annotated[int, typer.Option("--samples", help="Images to draw.")] = 10_000,
    last_weights: Annotated[
        bool, typer.Option("--last-weights", help="The last weights, where the run keeps their average too.")
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="SOURCE",
            help="Images to compare with; those that the run trains on if left out.",
            show_default=False,
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            "--held-out",
            metavar="SOURCE",
            help="Images of the same kind that the run never saw; those that it holds out if left out.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="A figure, again for each, such as fd or kid; those that go with the features if left out.",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="NETWORK",
            help="digits, lite0, none, or a file of your own; the one that fits if left out.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option("--layer", metavar="NAME", help="Of a network of your own.", show_default=False),
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option(
            "--preprocess",
            metavar="RANGE",
            help="What a network of your own takes: [0,1], [-1,1] or [0,255].",
            show_default=False,
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", help="How often as many images are drawn, for an interval.")
    ] = 3,
    neighbours: Annotated[
        str | None,
        typer.Option(
            "--neighbours",
            metavar="FILE.png",
            help="Write samples beside their nearest training images as a grid; not from a pod.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="With all, also the steps that were judged before in the same way."),
    ] = False,
    on: Annotated[
        On | None,
        typer.Option(
            "--on",
            help="By a process here, or a Job of its own; where its workers are by default.",
            show_default=False,
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return at once and let the Job go on by itself.")
    ] = False,
    image: Annotated[
        str | None,
        typer.Option(
            "--image", metavar="NAME:TAG", help="Image of the pod; the run's by default.", show_default=False
        ),
    ] = None,
    gpus: Annotated[
        int | None, typer.Option("--gpus", help="GPUs of the pod; none by default.", show_default=False)
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="Memory of the pod; a worker's by default.", show_default=False),
    ] = None,
    output: Annotated[
        Form, typer.Option("--output", "-o", help="text for people; json for programs.")
    ] = Form.text,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Judge a run's images: distances, precision, recall, classes and copies, each with interval and floor.

    The figures are printed and kept in the run's evaluations/, where status, show and compare find them. The
    run may train meanwhile, and may be of before there were evaluations. One whose workers are pods is judged
    by a Job of its own, of one pod without GPUs. Ctrl-C leaves that running: the same command follows it
    again, and `launcher cancel` or `launcher delete` of the run end it. Others are judged by a process of
    this machine, which needs the trainer's packages and the images that the run trains on.

    Example: launcher evaluate demo-20260102-x7k2

    Example: launcher evaluate gan/demo-20260102-x7k2 --root gs://bucket/gan --step all -o json
    """
    from launcher.errors import SpecError
    from launcher.runs import evaluating
    from launcher.runs.find import locate

    found, backend = locate(place_of(root, context, namespace), run)
    wanted = evaluating.Wanted(
        step, samples, last_weights, reference, held_out, again, tuple(metric or ()), features, layer,
        preprocess, draws, neighbours,
    )  # fmt: skip
    pod = {"--detach": detach or None, "--image": image, "--gpus": gpus, "--memory": memory}
    if evaluating.place_for(backend, on and on.value) == evaluating.CLUSTER:
        given = {"image": image, "gpus": gpus, "memory": memory, "context": context, "namespace": namespace}
        entries = _in_cluster(
            evaluating.begin_in_cluster(found, backend, wanted, given), found, wanted, detach
        )
    elif flag := next((flag for flag, value in pod.items() if value is not None), None):
        raise SpecError(
            f"{flag}: expected none where a process of this machine judges; --on cluster has a pod"
        )
    else:
        entries = _here(found, wanted)
    if entries is not None:
        _print(entries, output, every=step == "all")


def _here(found: "Found", wanted: "Wanted") -> "list[Entry]":
    from launcher.runs import evaluating
    from launcher.runs.trainer_here import TrainerRefused

    try:
        return evaluating.judge_here(found, wanted)
    except TrainerRefused as refused:  # its line is on stderr already
        raise typer.Exit(refused.exit_code) from None


def _in_cluster(going: "Evaluating", found: "Found", wanted: "Wanted", detach: bool) -> "list[Entry] | None":
    """Show an evaluation to its end, unless it is left alone."""
    from launcher.runs import evaluating
    from launcher.spec.next_commands import command_line

    stop = command_line("cancel", found.path)
    back = f"the same command follows it, and `{stop}` ends it, with the run if that is under way"
    if detach:
        typer.echo(going.name)
        note(back)
        return None
    try:
        note(f"{'already under way as' if going.joined else 'judged by'} Job {going.name}")
        for lines in going.follow():
            sys.stderr.writelines(f"{line}\n" for line in lines)
            sys.stderr.flush()
        return evaluating.ended(going, found, wanted)
    except KeyboardInterrupt:
        note(f"the evaluation goes on as Job {going.name}; {back}")
        raise


def _print(entries: "list[Entry]", output: Form, every: bool) -> None:
    from launcher.looking import evaluated

    if output is Form.json:
        print_json(entries if every else entries[0])
        return
    texts = ["\n".join(evaluated.lines(entry)) for entry in entries]
    if every and len(entries) > 1:
        texts.append("\n".join(evaluated.by_step(entries)))
    typer.echo("\n\n".join(texts))
