"""``python -m trainer sample``, ``project`` and ``export``: what is done with a generator."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainer.environment.paths import expanded
from trainer.environment.quiet import load_tensorflow
from trainer.errors import UserError
from trainer.sampling.exporting import Kind
from trainer.storage.limits import refused

if TYPE_CHECKING:
    from trainer.sampling.origin import Origin

_COUNT = 25


class Format(StrEnum):
    """How to print."""

    TEXT = "text"
    JSON = "json"


Generator = Annotated[
    str,
    typer.Option(
        "--run-dir",
        help="Folder of a run, or gs://bucket/prefix/experiment/run; its export/, or a .keras file.",
        callback=lambda text: text and expanded(text, "--run-dir"),
    ),
]
Step = Annotated[int | None, typer.Option(help="Checkpoint's step; the newest if left out.")]
Best = Annotated[bool, typer.Option("--best", help="The checkpoint that is best by the figures of training.")]
LastWeights = Annotated[
    bool, typer.Option("--last-weights", help="The last weights, where the run keeps their average too.")
]
OutputOption = Annotated[Format, typer.Option("-o", "--output", help="text, or json.")]


def sample(
    run_dir: Generator,
    out: Annotated[
        Path, typer.Option(help="grid.png, images.npz, or a folder for one PNG each; walk.gif or walk.mp4.")
    ],
    step: Step = None,
    best: Best = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the latents; the run's if left out.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Number of images; 25 if left out.", show_default=False)
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="One image of each seed, 0-63,70 say, whatever the others are; with labels a row of each "
            "class, unless --class.",
        ),
    ] = None,
    truncation: Annotated[
        float | None, typer.Option(help="Cut latents off at this magnitude: less variety, fewer failures.")
    ] = None,
    interpolate: Annotated[
        tuple[int, int] | None, typer.Option(help="Two seeds: the way from the one's image to the other's.")
    ] = None,
    walk: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="A film of the way through the images of --seeds and back to the first, N frames from each "
            "to the next.",
        ),
    ] = None,
    fps: Annotated[float, typer.Option(min=1, max=100, help="Frames a second of a film.")] = 20.0,
    of_class: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="CLASS", help="Number or name of the class; every one in turn if left out."
        ),
    ] = None,
    last_weights: LastWeights = False,
    output: OutputOption = Format.TEXT,
) -> None:
    """Draw images from a run's generator, or from one in a file.

    The image of a seed is the first one of --seed, and an end of --interpolate. --truncation 0.7 holds each
    entry of a latent, which is drawn from N(0, 1), within -0.7 to 0.7.

    Example: python -m trainer sample --run-dir runs/digits/first --count 64 --out grid.png

    Example: python -m trainer sample --run-dir runs/digits/first/export --seeds 0-7 --walk 30 --out walk.gif
    """
    from trainer.sampling import drawing, numbers, origin, writing

    out = Path(expanded(str(out), "--out"))
    _check_together(seeds, seed, count, interpolate)
    writing.check_target(out, films=walk is not None)
    chosen = None if seeds is None else numbers.seeds(seeds)
    request = drawing.Request(
        seed,
        _COUNT if count is None else count,
        truncation,
        interpolate,
        not last_weights,
        of_class,
        chosen,
        walk,
    )
    found = origin.find(run_dir, step, best)
    _check_weights(found, last_weights)
    if found.known is not None:  # before the seconds that TensorFlow takes to load
        drawing.check(drawing.of_run(found.known), request)
    load_tensorflow()
    from trainer.sampling.generate import generate

    drawn = generate(found, request)
    if walk is not None:
        writing.write_film(drawn.images, out, fps)
    else:
        writing.write(drawn.images, out, interpolate is not None, drawn.places.columns, drawn.places.names)
    _tell(
        out,
        {"images": len(drawn.images), "step": drawn.step, **drawing.told(request, drawn.places.labels)},
        output,
    )


def _check_together(
    seeds: str | None, seed: int | None, count: int | None, interpolate: tuple[int, int] | None
) -> None:
    """Refuse two ways of saying which images."""
    if seeds is None:
        return
    for option, given in (
        (f"--seed {seed}", seed is not None),
        (f"--count {count}", count is not None),
        ("--interpolate", interpolate is not None),
    ):
        if given:
            raise UserError(f"{option}: expected none with --seeds {seeds}, which say all")


def _check_weights(found: "Origin", last_weights: bool) -> None:
    if found.known is None and last_weights:
        raise UserError(f"--last-weights: expected none with {found.url}, which has one set of weights")


def _tell(out: Path, about: dict[str, Any], output: Format) -> None:
    print(json.dumps({"path": str(out), **about}, indent=2) if output is Format.JSON else out)


def project(
    picture: Annotated[
        str, typer.Argument(metavar="IMAGE", help="A picture, here or gs://.", show_default=False)
    ],
    run_dir: Generator,
    out: Annotated[
        str, typer.Option(metavar="FOLDER", help="For latent.npy, projection.png and distances.json.")
    ],
    step: Step = None,
    best: Best = False,
    of_class: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="Number or name of its class; if left out, each start has the next one.",
        ),
    ] = None,
    starts: Annotated[int, typer.Option(help="Latents that are followed, of which the nearest is kept.")] = 8,
    updates: Annotated[int, typer.Option(help="Of each latent.")] = 300,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the first latents.")] = 0,
    rate: Annotated[float, typer.Option(help="Of Adam at first; it falls to 0.")] = 0.1,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NETWORK",
            help="digits, lite0, lite0@SIDE, or none for pixels alone; the one that fits if left out.",
        ),
    ] = None,
    feature_weight: Annotated[
        float, typer.Option(help="Of the distance of features, beside that of pixels.")
    ] = 0.1,
    last_weights: LastWeights = False,
    output: OutputOption = Format.TEXT,
) -> None:
    """Find the latent whose image comes nearest to a picture (GAN inversion).

    The picture is brought to the generator's size and channels as data are. Several latents go down the
    gradient of the distance in pixels and features; projection.png shows the picture and the nearest image
    side by side, distances.json has the distance over the updates, and latent.npy is [1, latent_size].

    Example: python -m trainer project three.png --run-dir runs/digits/first --class 3 --out three
    """
    from trainer.inversion.request import Request, check_folder, read_picture
    from trainer.sampling import drawing, origin

    request = Request(of_class, starts, updates, seed, rate, features, feature_weight)
    request.check()
    folder = check_folder(out)
    picture = expanded(picture, "IMAGE")
    found = origin.find(run_dir, step, best)
    _check_weights(found, last_weights)
    if found.known is not None:
        drawing.class_number(drawing.of_run(found.known), of_class)
    content = read_picture(picture)
    load_tensorflow()
    from trainer.inversion import project as inversion

    told, result, target = inversion.project(found, picture, content, request, not last_weights)
    inversion.write(folder, told, result, target)
    if output is Format.JSON:
        print(
            json.dumps({"path": str(folder), **{key: told[key] for key in told if key != "starts"}}, indent=2)
        )
        return
    said = f"{folder}: pixels {told['pixels']:.4g}"
    if told["feature_distance"] is not None:
        said += f", features {told['feature_distance']:.4g} ({told['features']})"
    print(said if told["class"] is None else f"{said}, class {told['class']}")


def export(
    run_dir: Generator,
    out: Annotated[
        Path, typer.Option(help="generator.keras, .tflite or .onnx; a new folder for a SavedModel.")
    ],
    kind: Annotated[
        Kind, typer.Option("--format", help="keras, savedmodel, tflite, or onnx (pip install tf2onnx onnx).")
    ] = Kind.keras,
    step: Step = None,
    best: Best = False,
    last_weights: LastWeights = False,
    output: OutputOption = Format.TEXT,
) -> None:
    """Write a generator as a file that opens without Gantry.

    It takes `latents` [n, size] from N(0, 1), and `label` int32 [n] where there are classes, and gives images
    [n, height, width, channels] in [-1, 1].

    Example: python -m trainer export --run-dir runs/digits/first --format tflite --out digits.tflite
    """
    from trainer.sampling import exporting, origin

    out = Path(expanded(str(out), "--out"))
    exporting.check(kind, out)
    found = origin.find(run_dir, step, best)
    _check_weights(found, last_weights)
    load_tensorflow()
    from trainer.networks import formats
    from trainer.sampling.generate import portable

    model, taken = portable(found, not last_weights)
    try:
        formats.save(model, kind, out)
    except OSError as error:
        raise refused(f"--out {out}", error) from error
    _tell(out, {"format": str(kind), "step": taken}, output)
