"""What a feature network sees in a run's real images, kept in the experiment's folder for the next run."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from trainer.errors import StorageError
from trainer.evaluation.features import Seen
from trainer.evaluation.sets import order
from trainer.run import layout
from trainer.storage import Store

_BLOCK = 256  # neighbouring images, where they are not in memory


def chosen(count: int, most: int, in_memory: bool) -> np.ndarray:
    """Which of a set's images are looked at, int64 [at most `most`], in a fixed order.

    Of a set that is streamed whole blocks, evenly spread: single images would read a block each.
    """
    if in_memory or count <= most:
        return order(count)[:most]
    blocks = min(-(-most // _BLOCK), count // _BLOCK)
    starts = np.linspace(0, count - _BLOCK, blocks).astype(np.int64)
    ids = (starts[:, np.newaxis] + np.arange(_BLOCK)).reshape(-1)[:most]
    shuffled: np.ndarray = ids[order(len(ids))]
    return shuffled


def name(about: Mapping[str, Any]) -> str:
    """Name of the object for what was seen of some images by some network, which `about` says."""
    sha256 = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return f"{layout.REFERENCES}{sha256[:32]}.npz"


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
