"""What is said of a run's data, in the log and when a run is submitted: the same words in both."""

from collections import Counter
from collections.abc import Iterable

from trainer.config import RunConfig
from trainer.console.wording import several
from trainer.errors import DataError
from trainer.survey.shapes import Shape, by

_SOURCE = "data.source="


def headline(
    source: str, images: int, shape: Shape | None = None, labels: int = 0, *, used: bool = False
) -> str:
    """How many examples there are: ``data.source digits: 5000 images of 28x28x1; …``."""
    text = f"data.source {source}: {several(images, 'image')}" + (f" of {by(shape)}" if shape else "")
    if labels and used:
        return f"{text} of {labels} classes"
    if labels:
        text += f"; {several(labels, 'class')}, not told to the networks (conditioning.kind tells them)"
    return text


def classes_fit(config: RunConfig, source: str, classes: int) -> None:
    """Refuse a set of another number of classes than the networks are made for.

    Raises:
        DataError: it is.
    """
    wanted = config.conditioning.classes
    if config.conditioning.on and classes != wanted:
        raise DataError(
            f"data.source {source}: there are {several(classes, 'class')}, expected {wanted}: "
            f"set conditioning.classes={classes}"
        )


def left_out_text(kinds: Counter[str]) -> str:
    """What lies there and is not read: ``3 .txt, 1 .csv``, the most common first; empty for nothing."""
    return ", ".join(
        f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    )


def warnings(config: RunConfig, images: int, coloured: int = 0, sample: int = 0) -> list[str]:
    """What is legal and hardly meant, a line each.

    Args:
        config: what the run is.
        images: of the set.
        coloured: pictures with colours among those that were looked at.
        sample: how many were looked at; 0 for all.
    """
    found = []
    if images < config.batch_size:
        found.append(
            f"{several(images, 'image')} {'is' if images == 1 else 'are'} fewer than batch_size "
            f"{config.batch_size}: each batch repeats {'it' if images == 1 else 'them'}"
        )
    if coloured and config.image.channels == 1:
        of = f"{coloured} of {sample or images}" + (" that were looked at" if sample else "")
        found.append(
            f"{of} have colours and are trained in grey, as image.channels is 1; image.channels=3 keeps them"
        )
    return found


def blamed(error: DataError, preset: str, overrides: Iterable[str]) -> DataError:
    """A mistake in the data, with the way to name other data where nobody has named any."""
    if any(override.startswith(_SOURCE) for override in overrides):
        return error
    return DataError(
        f"{error}; that is the data of preset {preset} itself: name yours with --data, such as "
        "--data images:FOLDER (for the trainer --set data.source=images:FOLDER)"
    )
