"""What a feature network sees in a run's real images, kept in the experiment's folder for the next run."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trainer.errors import StorageError
from trainer.evaluation.features import Seen
from trainer.run import layout
from trainer.storage import Store
from trainer.survey.shapes import Shape

Say = Callable[[str], None]
_ORDER = 0  # seed of the order in which a set's images are taken
_BLOCK = 256  # neighbouring images, where they are not in memory


def order(count: int) -> np.ndarray:
    """A fixed order of a set's images; RandomState's numbers are the same in every NumPy."""
    return np.random.RandomState(_ORDER).permutation(count)


def chosen(count: int, most: int, in_memory: bool) -> np.ndarray:
    """Which of a set's images are looked at, int64 [at most `most`], in a fixed order.

    Of a set that is streamed whole blocks, evenly spread: single images would read a block each.
    """
    blocks = -(-most // _BLOCK)
    if in_memory or blocks * _BLOCK > count:  # nearly all of it is read anyway
        return order(count)[:most]
    starts = np.linspace(0, count - _BLOCK, blocks).astype(np.int64)
    ids = (starts[:, np.newaxis] + np.arange(_BLOCK)).reshape(-1)[:most]
    shuffled: np.ndarray = ids[order(len(ids))]
    return shuffled


def about(
    images: str,
    files: str | None,
    held_out: tuple[str, int] | None,
    label: str,
    shape: Shape,
    count: int,
    of: int,
) -> dict[str, Any]:
    """What some images are, and by which network they are seen, for `name`.

    Args:
        images: which of a run's they are: training, or held out.
        files: crc32c of the files that they are from.
        held_out: that of the held-out images and their count, where the run holds any out.
        label: the network's.
        shape: height, width and channels.
        count: how many are looked at.
        of: how many there are.
    """
    return {
        "images": images,
        "files": files,
        "held out": None if held_out is None else list(held_out),
        "features": label,
        "shape": list(shape),
        "count": count,
        "of": of,
    }


def name(about: Mapping[str, Any]) -> str:
    """Name of the object for what was seen of some images by some network, which `about` says."""
    sha256 = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return f"{layout.REFERENCES}{sha256[:32]}.npz"


def seen(store: Store | None, about: Mapping[str, Any], see: Callable[[], Seen], say: Say) -> Seen:
    """What was kept, else what is seen now, which is kept for others; without a store nothing is kept."""
    found = kept(store, about)
    if found is None:
        found = see()
        remember(store, about, found, say)
    return found


def kept(store: Store | None, about: Mapping[str, Any]) -> Seen | None:
    """What was seen before of just these images; None where nobody has, or it cannot be read."""
    found = load(store, name(about)) if store else None
    return found if found is not None and len(found.features) == about["count"] else None


def remember(store: Store | None, about: Mapping[str, Any], found: Seen, say: Say) -> None:
    """Keep it for others where there is a store; one that fails costs them a look."""
    if store is None:
        return
    try:
        keep(store, name(about), found)
    except StorageError as error:
        say(f"warning: {error}; the next evaluation has to look at its images again")


def load(store: Store, where: str) -> Seen | None:
    """What was seen before; None where nobody has, or it cannot be read."""
    try:
        with np.load(io.BytesIO(store.read(where))) as archive:
            return Seen(archive["features"], archive["shares"])
    except (StorageError, ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
        return None


def keep(store: Store, where: str, seen: Seen) -> None:
    """Keep it for others; two who do write the same.

    Raises:
        StorageError: it could not be kept.
    """
    content = io.BytesIO()
    np.savez(content, features=seen.features, shares=seen.shares)
    store.write(where, content.getvalue())
