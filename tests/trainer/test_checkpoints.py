"""The commit protocol: a checkpoint is whole or does not exist, and the newest whole one is never lost."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.errors import CheckpointDamaged, PreconditionFailed, StorageError
from trainer.run import checkpoints
from trainer.storage import LocalStore, open_store

DATA = "state.data-00000-of-00001"


def tensors(step):
    values = np.random.default_rng(step).standard_normal((7, 5)).astype(np.float32)
    return {"generator/hidden_1/kernel": tf.constant(values), "adam/moment": tf.constant(values * 2)}


def same(values, step):
    expected = tensors(step)
    return values.keys() == expected.keys() and all(
        values[name].tobytes() == expected[name].numpy().tobytes() for name in expected
    )


def newest(store):
    warnings = []
    return checkpoints.newest(store, warnings.append), warnings


def test_what_was_saved_is_read_back_in_the_same_bits(store):
    for step in (10, 9, 100):
        checkpoints.save(store, step, tensors(step))
    assert checkpoints.complete_steps(store) == [100, 10, 9]
    found, warnings = newest(store)
    assert found.step == 100 and same(found.values, 100) and not warnings
    assert same(checkpoints.read(store, 9).values, 9)


def test_a_manifest_lists_every_file_with_size_and_sum(store):
    checkpoints.save(store, 3, tensors(3))
    manifest = json.loads(store.read("checkpoints/3/manifest.json"))
    names = {stat.name for stat in store.list("checkpoints/3/")} - {"checkpoints/3/manifest.json"}
    assert manifest["step"] == 3
    assert {f"checkpoints/3/{entry['name']}" for entry in manifest["files"]} == names
    for entry in manifest["files"]:
        assert store.stat(f"checkpoints/3/{entry['name']}").size == entry["size"]


def flip(content):
    return content[:20] + bytes([content[20] ^ 1]) + content[21:]


@pytest.mark.parametrize("name", [DATA, "state.index", "manifest.json"])
@pytest.mark.parametrize("damage", [flip, lambda content: content[:-1], lambda content: b"", None])
def test_a_damaged_one_is_skipped_by_name_and_the_one_before_it_is_used(store, name, damage):
    checkpoints.save(store, 1, tensors(1))
    checkpoints.save(store, 2, tensors(2))
    path = f"checkpoints/2/{name}"
    if damage is None:
        store.delete(path)
    elif damage is flip and name == "manifest.json":
        store.write(path, store.read(path).replace(b'"size": ', b'"size": 1', 1))
    else:
        store.write(path, damage(store.read(path)))
    found, warnings = newest(store)
    assert found.step == 1 and same(found.values, 1)
    # Without a manifest there is nothing to warn of; an empty one is the claim of a writer at work.
    if name == "manifest.json" and (store.stat(path) is None or store.stat(path).size == 0):
        assert not warnings
    else:
        assert len(warnings) == 1 and f"{store.url}/checkpoints/2/" in warnings[0]


def test_all_damaged_is_like_none(store):
    checkpoints.save(store, 1, tensors(1))
    store.delete(f"checkpoints/1/{DATA}")
    found, warnings = newest(store)
    assert found is None and "is missing" in warnings[0]
    with pytest.raises(CheckpointDamaged, match="checkpoints/1/"):
        checkpoints.read(store, 1)


def test_a_step_saved_again_replaces_what_an_earlier_attempt_left(store):
    checkpoints.save(store, 5, tensors(1))
    store.write("checkpoints/5/leftover", b"of an attempt that was killed")
    checkpoints.save(store, 5, tensors(5))
    assert same(checkpoints.read(store, 5).values, 5)
    assert store.stat("checkpoints/5/leftover") is None


def test_the_manifest_is_never_written_over_another_writers(store, monkeypatch):
    real = type(store).upload

    def upload(self, name, path, if_generation=None):
        self.write("checkpoints/8/manifest.json", b"{}")
        return real(self, name, path, if_generation)

    monkeypatch.setattr(type(store), "upload", upload)
    with pytest.raises(PreconditionFailed):
        checkpoints.save(store, 8, tensors(8))


def test_a_claim_is_no_checkpoint_and_one_that_was_broken_never_becomes_one(store, monkeypatch):
    checkpoints.save(store, 1, tensors(1))
    real, claims = type(store).upload, []

    def upload(self, name, path, if_generation=None):
        claims.append(store.stat("checkpoints/2/manifest.json"))
        assert newest(store)[0].step == 1 and checkpoints.complete_steps(store) == [1]
        checkpoints.break_claims(store)
        return real(self, name, path, if_generation)

    monkeypatch.setattr(type(store), "upload", upload)
    with pytest.raises(PreconditionFailed):
        checkpoints.save(store, 2, tensors(2))
    assert claims[0].size == 0 and claims[-1] is None
    monkeypatch.undo()
    assert newest(store)[0].step == 1 and not newest(store)[1]


def test_where_a_run_goes_on_nothing_lies_beyond_it(store):
    """A damaged one would else pass for the newest, and a good one before it be pruned."""
    for step in (1, 2, 3):
        checkpoints.save(store, step, tensors(step))
    store.delete(f"checkpoints/3/{DATA}")
    store.write("checkpoints/4/manifest.json", b"")
    store.write(f"checkpoints/5/{DATA}", b"begun")
    checkpoints.discard_after(store, 2)
    assert list(store.folders("checkpoints/")) == ["1", "2"]
    assert same(checkpoints.read(store, 1).values, 1) and same(checkpoints.read(store, 2).values, 2)


@settings(max_examples=30)
@given(
    steps=st.lists(st.integers(1, 40), min_size=1, max_size=8, unique=True),
    incomplete=st.sets(st.integers(1, 40)),
    keep=st.integers(1, 4),
    keep_every=st.sampled_from([0, 4, 10]),
)
def test_pruning_keeps_the_newest_and_every_kth_whole_one(
    tmp_path_factory, steps, incomplete, keep, keep_every
):
    store = LocalStore(tmp_path_factory.mktemp("prune"))
    for step in steps:
        store.write(f"checkpoints/{step}/{DATA}", b"x")
        files = [{"name": DATA, "size": 1, "crc32c": "any"}]
        if step not in incomplete:
            manifest = {"step": step, "files": files}
            store.write(f"checkpoints/{step}/manifest.json", json.dumps(manifest).encode())
    whole = sorted(set(steps) - incomplete, reverse=True)
    removed = checkpoints.prune(store, keep, keep_every)
    left = {int(name) for name in store.folders("checkpoints/")}
    kept = set(whole[:keep]) | {step for step in whole if keep_every and step % keep_every == 0}
    newer = {step for step in steps if not whole or step > whole[0]}
    assert left == kept | newer
    assert set(removed) == set(steps) - left
    assert checkpoints.complete_steps(store)[:1] == whole[:1]


@pytest.mark.parametrize("kept", [6, 60])
def test_pruning_reads_as_many_manifests_as_are_to_be_found_whole(gcs_root, gcs_proxy, kept):
    store = open_store(gcs_root)
    for step in range(10, 10 * kept + 10, 10):
        checkpoints.save(store, step, {"x": tf.constant(1.0)})
    before = len(gcs_proxy.requests)
    assert checkpoints.prune(store, 3, 10) == []
    assert len(gcs_proxy.requests) - before == 4  # a listing, and a manifest for each of the newest


class Dying(LocalStore):
    """A folder whose owner dies after a number of writes or removals."""

    def __init__(self, root, operations):
        super().__init__(root)
        self.left = operations

    def _operation(self):
        if self.left == 0:
            raise StorageError("killed")
        self.left -= 1

    def write(self, *args, **options):
        self._operation()
        return super().write(*args, **options)

    def upload(self, *args, **options):
        self._operation()
        return super().upload(*args, **options)

    def delete(self, *args, **options):
        self._operation()
        super().delete(*args, **options)


@settings(max_examples=40)
@given(lives=st.lists(st.integers(0, 12), min_size=1, max_size=4), keep=st.integers(1, 2))
def test_whenever_a_writer_dies_a_reader_finds_the_newest_whole_one(tmp_path_factory, lives, keep):
    root = tmp_path_factory.mktemp("dying")
    reader = open_store(str(root))
    reached = 0  # newest step whose save returned
    for operations in lives:
        writer = Dying(root, operations)
        found, _ = newest(reader)
        step = found.step if found else 0
        assert step >= reached  # steps never go back
        assert found is None or same(found.values, step)
        try:
            while True:
                step += 10
                checkpoints.save(writer, step, tensors(step))
                reached = step
                checkpoints.prune(writer, keep, 0)
        except StorageError:
            continue
    found, warnings = newest(reader)
    assert (found.step if found else 0) >= reached
    assert not warnings  # death leaves unfinished checkpoints, never damaged ones


@pytest.mark.parametrize("compiled", [False, True])
def test_a_snapshot_keeps_its_values_while_training_goes_on(compiled):
    variable, slot = tf.Variable(tf.ones((300, 300))), tf.Variable(tf.zeros((300, 300)))

    @tf.function(jit_compile=compiled)
    def update():
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=slot.handle, v=slot.handle, beta1_power=0.5, beta2_power=0.9, lr=0.1,
            beta1=0.5, beta2=0.9, epsilon=1e-7, grad=tf.ones((300, 300)),
        )  # fmt: skip

    update()
    before = variable.numpy().copy()
    taken = checkpoints.snapshot({"v": variable})
    update()
    assert np.array_equal(taken["v"].numpy(), before)
    assert not np.array_equal(variable.numpy(), before)
