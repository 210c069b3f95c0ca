"""Opens a source of any kind; `trainer.config.sources` has the table of kinds."""

from importlib import import_module

from trainer.config.sources import SOURCES, parse_source
from trainer.data.look import Look, unfit
from trainer.data.sources import ImageSource, Shape, problem, reading, require_labels


def open_source(source: str, shape: Shape | None, *, look: Look | None = None) -> ImageSource:
    """Open the set that `data.source` names and check what can be checked without reading all of it.

    Args:
        source: of any kind, e.g. ``idx:data/mnist``.
        shape: height, width and channels the model needs; None takes the set's own (``images:``, the size
            of its first image).
        look: which files count, and where it is noted what was found.

    Raises:
        DataError: no such kind, or the set is missing, empty, damaged or of the wrong shape, or has no labels
            and `look` has to have them.
        AccessError: a file, folder or bucket refuses us.
    """
    try:
        kind, rest = parse_source(source)
    except ValueError as mistake:
        raise problem(source, str(mistake)) from None
    look = look or Look()
    look.name = source
    with reading(source, rest):
        try:
            module = import_module(f"trainer.data.{SOURCES[kind].module}")
            opened: ImageSource = module.open_images(rest, shape, look)
        except MemoryError as error:
            raise unfit(source, error) from error
    opened.label_problem = look.label_problem
    if look.labelled:
        require_labels(opened)
    return opened
