"""Checkpoints that are whole or do not exist.

A checkpoint is a folder ``checkpoints/<step>/`` of TensorFlow checkpoint files and a ``manifest.json`` with
their names, sizes and crc32c. The commit protocol: claim the step with an empty manifest, upload the files,
then write the manifest on the condition that the claim is still ours. Whoever claims the step after us, while
we were paused, say, makes our manifest impossible, so that no manifest ever stands beside another writer's
files. A reader looks at manifests only, newest first, and takes the first whose files are all there and have
the sums it lists; the rest is skipped with a warning that names it.

The tensors are saved under our own names (`State.variables`), not as TensorFlow's object graph, so that a
checkpoint stays readable when classes move: ``tf.train.load_checkpoint`` opens it anywhere.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from trainer.errors import CheckpointDamaged, ObjectMissing, StorageError
from trainer.run import layout
from trainer.storage import Store, crc32c
from trainer.storage.limits import naming, told

_PREFIX = "state"  # of the files' names: state.index, state.data-00000-of-00001
_FORMAT = 1  # of the manifest
_PAUSES_SECONDS = (0.2, 1.0, 2.0)
T = TypeVar("T")


class Checkpoint(NamedTuple):
    """A checkpoint that was read and found whole."""

    step: int
    """Steps taken before it."""
    values: dict[str, np.ndarray]
    """Every variable by its name."""


def snapshot(variables: Mapping[str, tf.Variable | tf.Tensor]) -> dict[str, tf.Tensor]:
    """The values as they are now, for another thread to save while training goes on.

    Nothing is copied yet: a tensor read from a variable keeps its buffer, and the next update of the variable
    writes to a new one.
    """
    return {name: tf.identity(variable) for name, variable in variables.items()}


def save(store: Store, step: int, tensors: Mapping[str, tf.Tensor]) -> None:
    """Write a whole checkpoint; the last thing written is its manifest.

    Raises:
        PreconditionFailed: another writer has claimed the step meanwhile.
        Exhausted: the scratch folder takes no more.
    """
    claim = store.write(layout.checkpoint_manifest(step), b"")
    folder = layout.checkpoint_folder(step)
    with scratch_folder() as name:
        scratch = Path(name)
        _write_files(scratch / _PREFIX, tensors)
        paths = sorted(scratch.iterdir())
        _remove_others(store, step, {path.name for path in paths})
        files = []
        for path in paths:
            store.upload(folder + path.name, path)
            files.append({"name": path.name, "size": path.stat().st_size, "crc32c": crc32c(path)})
    manifest = {"format": _FORMAT, "step": step, "files": files}
    store.write(layout.checkpoint_manifest(step), json.dumps(manifest, indent=2).encode(), claim)


def complete_steps(store: Store) -> list[int]:
    """Steps of the checkpoints that have a manifest and files of the sizes it lists, newest first.

    Sums are not computed here: `read` does that for the one checkpoint it reads.
    """
    sizes = _sizes(store)
    return [step for step in _with_manifest(sizes) if _is_whole(store, step, sizes)]


def newest(store: Store, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole; each damaged one on the way is named to `warn`.

    One that was removed while it was read is not damaged: whoever removed it has completed a newer one.
    """
    skipped: dict[int, int] = {}
    while left := _manifests(store).items() - skipped.items():
        step, generation = max(left)
        try:
            return read(store, step)
        except CheckpointDamaged as damage:
            if _manifests(store).get(step) == generation:
                warn(f"skipping {damage}")
                skipped[step] = generation
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
                _fetch(store, folder + entry["name"], path)
            except ObjectMissing:
                raise _damaged(store, step, f"{entry['name']} is missing") from None
            _check_file(store, step, path, entry)
        return Checkpoint(step, _read_files(scratch / _PREFIX))


def break_claims(store: Store) -> None:
    """Make sure that no predecessor of the run's writer completes a checkpoint any more.

    For a new writer, before it asks for the newest one: else a predecessor that was paused just before its
    last write could complete a checkpoint that the new writer knows nothing of, and removes.
    """
    for stat in list(store.list("checkpoints/")):
        step = layout.checkpoint_step(stat.name)
        if step is not None and stat.name == layout.checkpoint_manifest(step) and not stat.size:
            store.delete(stat.name, stat.generation)


def discard(store: Store, step: int) -> None:
    """Remove whatever lies in a checkpoint's folder, its manifest first."""
    found = list(store.list(layout.checkpoint_folder(step)))
    for stat in sorted(found, key=lambda stat: stat.name != layout.checkpoint_manifest(step)):
        store.delete(stat.name, stat.generation)


def discard_after(store: Store, step: int) -> None:
    """Remove what lies beyond `step`, where a run goes on: damaged, or begun and never completed.

    Else a damaged checkpoint would pass for the newest of those that `prune` keeps.
    """
    found = {layout.checkpoint_step(stat.name) for stat in store.list("checkpoints/")}
    for later in sorted(later for later in found if later is not None and later > step):
        discard(store, later)


def prune(
    store: Store, keep: int, keep_every: int, best: int | None = None, until: int | None = None
) -> list[int]:
    """Remove all but the newest `keep` complete checkpoints, those at multiples of `keep_every` and the best.

    With `until` the newest one up to that step stays too.

    The newest complete one always stays. What never became complete is removed once a newer one is: only
    one process writes checkpoints, and it is past them. Manifests are read until `keep` complete ones are
    found, however many there are; of multiples of `keep_every` it is enough that they have one.

    Returns:
        The steps that were removed.
    """
    sizes = _sizes(store)
    whole = (step for step in _with_manifest(sizes) if _is_whole(store, step, sizes))
    spared = {*islice(whole, max(1, keep))}
    if not spared:
        return []
    newest_one = max(spared)
    if best is not None:
        spared.add(best)
    if until is not None:
        earlier = (step for step in _with_manifest(sizes) if step <= until and _is_whole(store, step, sizes))
        spared |= {*islice(earlier, 1)}
    if keep_every:
        spared |= {step for step in _with_manifest(sizes) if step % keep_every == 0}
    found = {layout.checkpoint_step(name) for name in sizes}
    removed = sorted(step for step in found if step is not None and step < newest_one and step not in spared)
    for step in removed:
        discard(store, step)
    return removed


def _sizes(store: Store) -> dict[str, int]:
    """Size of everything that lies among the checkpoints, by its name."""
    return {stat.name: stat.size for stat in store.list("checkpoints/")}


def _with_manifest(sizes: Mapping[str, int]) -> list[int]:
    """Steps that have a manifest, newest first; claims have none."""
    steps = {step for name in sizes if (step := layout.checkpoint_step(name)) is not None}
    return sorted((step for step in steps if sizes.get(layout.checkpoint_manifest(step))), reverse=True)


def _manifests(store: Store) -> dict[int, int]:
    """Generation of every manifest by its step, claims left out."""
    found = [stat for stat in store.list("checkpoints/") if layout.is_complete(stat.name, stat.size)]
    return {step: stat.generation for stat in found if (step := layout.checkpoint_step(stat.name))}


def _manifest(store: Store, step: int) -> list[dict[str, Any]]:
    """The entries of a checkpoint's manifest."""
    try:
        manifest = json.loads(_insist(lambda: store.read(layout.checkpoint_manifest(step))))
        files: list[dict[str, Any]] = manifest["files"]
        if manifest["step"] != step or not all({"name", "size", "crc32c"} <= entry.keys() for entry in files):
            raise ValueError
    except ObjectMissing:
        raise _damaged(store, step, "manifest.json is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(store, step, "manifest.json cannot be read") from None
    return files


def _remove_others(store: Store, step: int, names: Set[str]) -> None:
    """Remove what an earlier attempt left in a step's folder beside the files that are to be written."""
    folder = layout.checkpoint_folder(step)
    mine = {layout.checkpoint_manifest(step), *(folder + name for name in names)}
    for stat in list(store.list(folder)):
        if stat.name not in mine:
            store.delete(stat.name, stat.generation)


def _insist(read: Callable[[], T]) -> T:
    """Read what a listing or a manifest has shown; a cache on the way may deny it for a moment."""
    for pause in _PAUSES_SECONDS:
        try:
            return read()
        except ObjectMissing:
            time.sleep(pause)
    return read()


def _fetch(store: Store, name: str, path: Path) -> None:
    _insist(lambda: store.download(name, path))


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
    try:
        with tf.device("/cpu:0"):
            tf.raw_ops.SaveV2(
                prefix=str(prefix),
                tensor_names=list(tensors),
                shape_and_slices=[""] * len(tensors),
                tensors=list(tensors.values()),
            )
    except tf.errors.OpError as error:
        where = f"scratch folder {prefix.parent} ({shutil.disk_usage(prefix.parent).free} bytes free)"
        text = " ".join(str(error.message).split())[:200]
        raise told(error, where) or StorageError(f"{where}: {text}") from error


def _read_files(prefix: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder for files on their way to or from a store; it goes when the context is left.

    Raises:
        Exhausted: its disk takes no more.
    """
    with (
        naming(f"scratch folder {tempfile.gettempdir()}"),
        tempfile.TemporaryDirectory(prefix="gantry-", ignore_cleanup_errors=True) as folder,
    ):
        yield folder
