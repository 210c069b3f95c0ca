"""Checkpoints that are whole or do not exist.

A checkpoint is a folder ``checkpoints/<step>/`` of TensorFlow checkpoint files and a ``manifest.json`` with
their names, sizes and crc32c. The commit protocol: upload the files, then write the manifest on the condition
that there is none. A reader looks at manifests only, newest first, and takes the first whose files are all
there and have the sums it lists; the rest is skipped with a warning that names it.

The tensors are saved under our own names (`State.variables`), not as TensorFlow's object graph, so that a
checkpoint stays readable when classes move: ``tf.train.load_checkpoint`` opens it anywhere.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import layout
from trainer.errors import CheckpointDamaged, ObjectMissing
from trainer.storage import Store, crc32c

_PREFIX = "state"  # of the files' names: state.index, state.data-00000-of-00001
_FORMAT = 1  # of the manifest


class Checkpoint(NamedTuple):
    """A checkpoint that was read and found whole."""

    step: int
    """Steps taken before it."""
    values: dict[str, np.ndarray]
    """Every variable by its name."""


def snapshot(variables: Mapping[str, tf.Variable]) -> dict[str, tf.Tensor]:
    """The values as they are now, for another thread to save while training goes on.

    Nothing is copied yet: a tensor read from a variable keeps its buffer, and the next update of the variable
    writes to a new one.
    """
    return {name: tf.identity(variable) for name, variable in variables.items()}


def save(store: Store, step: int, tensors: Mapping[str, tf.Tensor]) -> None:
    """Write a whole checkpoint; the last thing written is its manifest.

    What an earlier attempt left at this step is removed first, its manifest before its files, so that a
    reader never finds a manifest beside files of another attempt.
    """
    discard(store, step)
    folder = layout.checkpoint_folder(step)
    with scratch_folder() as name:
        scratch = Path(name)
        _write_files(scratch / _PREFIX, tensors)
        files = []
        for path in sorted(scratch.iterdir()):
            store.upload(folder + path.name, path)
            files.append({"name": path.name, "size": path.stat().st_size, "crc32c": crc32c(path)})
    manifest = {"format": _FORMAT, "step": step, "files": files}
    content = json.dumps(manifest, indent=2).encode()
    store.write(layout.checkpoint_manifest(step), content, if_generation=0)


def complete_steps(store: Store) -> list[int]:
    """Steps of the checkpoints that have a manifest and files of the sizes it lists, newest first.

    Sums are not computed here: `read` does that for the one checkpoint it reads.
    """
    sizes: dict[str, int] = {stat.name: stat.size for stat in store.list("checkpoints/")}
    steps = sorted(
        {step for name in sizes if (step := layout.checkpoint_step(name)) is not None}, reverse=True
    )
    return [
        step for step in steps if layout.checkpoint_manifest(step) in sizes and _is_whole(store, step, sizes)
    ]


def newest(store: Store, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole; each damaged one on the way is named to `warn`."""
    names = [stat.name for stat in store.list("checkpoints/")]
    manifests = {
        step
        for name in names
        if (step := layout.checkpoint_step(name)) and name == layout.checkpoint_manifest(step)
    }
    for step in sorted(manifests, reverse=True):
        try:
            return read(store, step)
        except CheckpointDamaged as damage:
            warn(f"skipping {damage}")
    return None


def read(store: Store, step: int) -> Checkpoint:
    """Download one checkpoint, compare every file with the manifest, and load it.

    Raises:
        CheckpointDamaged: there is no manifest, or a file is missing, cut short or has another crc32c.
    """
    folder = layout.checkpoint_folder(step)
    with scratch_folder() as name:
        scratch = Path(name)
        for entry in _manifest(store, step):
            path = scratch / Path(entry["name"]).name
            try:
                store.download(folder + entry["name"], path)
            except ObjectMissing:
                raise _damaged(store, step, f"{entry['name']} is missing") from None
            _check_file(store, step, path, entry)
        return Checkpoint(step, _read_files(scratch / _PREFIX))


def discard(store: Store, step: int) -> None:
    """Remove whatever lies in a checkpoint's folder, its manifest first."""
    store.delete(layout.checkpoint_manifest(step))
    for stat in list(store.list(layout.checkpoint_folder(step))):
        store.delete(stat.name)


def prune(store: Store, keep: int, keep_every: int) -> list[int]:
    """Remove all but the newest `keep` complete checkpoints and those at multiples of `keep_every`.

    The newest complete one always stays. What never became complete is removed once a newer one is: only
    one process writes checkpoints, and it is past them.

    Returns:
        The steps that were removed.
    """
    complete = complete_steps(store)
    if not complete:
        return []
    spared = set(complete[: max(1, keep)])
    if keep_every:
        spared |= {step for step in complete if step % keep_every == 0}
    found = {layout.checkpoint_step(stat.name) for stat in store.list("checkpoints/")}
    removed = sorted(step for step in found if step is not None and step < complete[0] and step not in spared)
    for step in removed:
        discard(store, step)
    return removed


def _manifest(store: Store, step: int) -> list[dict[str, Any]]:
    """The entries of a checkpoint's manifest."""
    try:
        manifest = json.loads(store.read(layout.checkpoint_manifest(step)))
        files: list[dict[str, Any]] = manifest["files"]
        if manifest["step"] != step or not all({"name", "size", "crc32c"} <= entry.keys() for entry in files):
            raise ValueError
    except ObjectMissing:
        raise _damaged(store, step, "manifest.json is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(store, step, "manifest.json cannot be read") from None
    return files


def _is_whole(store: Store, step: int, sizes: Mapping[str, int]) -> bool:
    folder = layout.checkpoint_folder(step)
    try:
        return all(sizes.get(folder + entry["name"]) == entry["size"] for entry in _manifest(store, step))
    except CheckpointDamaged:
        return False


def _check_file(store: Store, step: int, path: Path, entry: Mapping[str, Any]) -> None:
    size, checksum = path.stat().st_size, crc32c(path)
    if size != entry["size"]:
        raise _damaged(store, step, f"{path.name} has {size} bytes, its manifest says {entry['size']}")
    if checksum != entry["crc32c"]:
        raise _damaged(store, step, f"{path.name} has crc32c {checksum}, its manifest says {entry['crc32c']}")


def _damaged(store: Store, step: int, what: str) -> CheckpointDamaged:
    return CheckpointDamaged(f"damaged checkpoint {store.url}/{layout.checkpoint_folder(step)}: {what}")


def _write_files(prefix: Path, tensors: Mapping[str, tf.Tensor]) -> None:
    with tf.device("/cpu:0"):
        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )


def _read_files(prefix: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def scratch_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder for files on their way to or from a store; it goes when the context is left."""
    return tempfile.TemporaryDirectory(prefix="gantry-", ignore_cleanup_errors=True)
