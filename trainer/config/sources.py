"""The grammar of `data.source`: a kind and what it reads. Whether that exists, `trainer.data` finds out."""

import difflib
import os
from collections.abc import Iterable, Mapping

from trainer.errors import ConfigError

SOURCES = {
    "digits": "digits",
    "idx": "idx:<folder>",
    "npz": "npz:<file>",
    "images": "images:<folder>",
    "tfrecord": "tfrecord:<glob>",
    "keras": "keras:<name>",
}
"""How each kind of source is written."""
KERAS_SETS = ("mnist", "fashion_mnist", "cifar10", "cifar100")


def parse_source(source: str) -> tuple[str, str]:
    """Kind of a source and what comes after the colon, empty for ``digits``.

    Raises:
        ValueError: it is no source; the text says what was expected.
    """
    kind, _, rest = source.partition(":")
    if kind not in SOURCES:
        raise ValueError(_unknown("kind", kind, _path(source) or _nearest(kind, SOURCES), SOURCES.values()))
    if bool(rest) != (SOURCES[kind] != kind):
        raise ValueError(f"expected {SOURCES[kind]}")
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
    if kind not in SOURCES or "<" not in SOURCES[kind] or kind == "keras" or not rest or "://" in rest:
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
