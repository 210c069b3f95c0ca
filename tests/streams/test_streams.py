"""Indices and noise as pure functions of (seed, step, purpose) over the global batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

tf = pytest.importorskip("tensorflow")

from tests.streams import version_0_1  # noqa: E402
from trainer import randomness  # noqa: E402
from trainer.randomness import Shuffle, order  # noqa: E402

BLOCK = randomness.BLOCK
fewer = settings(max_examples=25)
seeds = st.integers(0, 2**31 - 1)
windows = st.sampled_from([BLOCK, 2 * BLOCK, 4 * BLOCK])


def at(step: int) -> tf.Tensor:
    return tf.constant(step, tf.int64)


def indices(seed: int, step: int, batch: int, count: int, window: int) -> np.ndarray:
    return randomness.batches(Shuffle(seed, count, window), batch, step, 1)[0]


def epochs(seed: int, number: int, count: int, window: int) -> np.ndarray:
    """The first epochs, [number, count]."""
    return indices(seed, 0, number * count, count, window).reshape(number, count)


@fewer
@given(count=st.integers(1, 1500), window=windows, seed=seeds, data=st.data())
def test_every_epoch_shows_every_image_once_whatever_the_batch(count, window, seed, data):
    batch = data.draw(st.integers(max(1, count // 6), 2 * count))
    steps = -(-2 * count // batch)
    stream = np.concatenate([indices(seed, step, batch, count, window) for step in range(steps)])
    assert stream.dtype == np.int64
    for epoch in stream[: 2 * count].reshape(2, count):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(count))


@fewer
@given(
    count=st.integers(1, 1500), window=windows, seed=seeds, batch=st.integers(1, 300), step=st.integers(0, 9)
)
def test_the_order_of_images_does_not_depend_on_the_batch(count, window, seed, batch, step):
    first = step * batch
    whole = indices(seed, 0, first + batch, count, window)
    np.testing.assert_array_equal(indices(seed, step, batch, count, window), whole[first:])


@pytest.mark.parametrize(
    "count", [1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 1000, 5000]
)
def test_sets_of_awkward_sizes_are_shown_whole_too(count):
    for window in (BLOCK, 2 * BLOCK, 64 * BLOCK):
        for epoch in epochs(3, 3, count, window):
            np.testing.assert_array_equal(np.sort(epoch), np.arange(count))


@fewer
@given(count=st.integers(1, 3000), blocks=st.sampled_from([1, 2, 4]), seed=seeds)
def test_the_images_of_a_window_come_from_as_many_blocks_as_it_holds(count, blocks, seed):
    window = blocks * BLOCK
    for epoch in epochs(seed, 2, count, window):
        for first in range(0, count, window):
            images = epoch[first : first + window]
            assert len(set(images // BLOCK)) <= blocks


def test_a_graph_draws_what_eager_code_draws():
    latents = tf.function(lambda step: randomness.noise(5, step, 96, 7))
    for step in (0, 1, 10, 11, 10**6):
        np.testing.assert_array_equal(latents(at(step)).numpy(), randomness.noise(5, at(step), 96, 7).numpy())


@pytest.mark.parametrize("count", [2, 255, 256, 257, 512, 513, 5000, 70_000, 2**22 - 1, 2**22 + 256, 10**8])
def test_the_order_is_that_of_version_0_1(count):
    """Below, at and above a block, a window, the blocks that are tabled, and an epoch's end."""
    for window in (BLOCK, 2 * BLOCK, 16384):
        for seed, first in ((0, 0), (2**31 - 1, count - 40), (7, 3 * count - 1), (8, 10**12)):
            step = max(0, first) // 37
            found = randomness.batches(Shuffle(seed, count, window), 37, step, 3)
            expected = version_0_1.indices(seed, at(step), 37, count, window, 3)
            np.testing.assert_array_equal(found.ravel(), expected.numpy())


@fewer
@given(count=st.integers(1, 40_000), window=windows, seed=seeds, step=st.integers(0, 2**40))
def test_any_order_is_that_of_version_0_1(count, window, seed, step):
    found = randomness.batches(Shuffle(seed, count, window), 40, step, 2)
    np.testing.assert_array_equal(
        found.ravel(), version_0_1.indices(seed, at(step), 40, count, window, 2).numpy()
    )


def test_what_is_kept_of_an_order_is_bounded(monkeypatch):
    """A set of any size has at most four tables of 2**14 blocks."""
    order._order.cache_clear()
    sizes = []
    permute = order._permute
    monkeypatch.setattr(order, "_permute", lambda *a: sizes.append(a[2]) or permute(*a))
    for count in (5000, 2**22, 2**22 + 256, 10**8):
        for epoch in range(9):
            order.indices(Shuffle(1, count, 512), epoch * count, 2000)
    assert order._order.cache_info().currsize <= 4
    tabled = [(size, sizes.count(size)) for size in (5000 // BLOCK, 2**14)]
    assert tabled == [(5000 // BLOCK, 9), (2**14, 9)]  # and once an epoch


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_the_replicas_slices_together_are_the_global_batch(replicas):
    for whole in (tf.constant(indices(1, 9, 12, 700, 512)), randomness.noise(1, at(9), 12, 5)):
        for numbers in (range(replicas), tf.range(replicas)):
            parts = [randomness.replica_slice(whole, replica, replicas) for replica in numbers]
            assert all(part.shape[0] == 12 // replicas for part in parts)
            np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_each_replica_takes_the_same_slice_inside_a_graph():
    whole = randomness.noise(1, at(0), 12, 5)
    cut = tf.function(lambda replica: randomness.replica_slice(randomness.noise(1, at(0), 12, 5), replica, 3))
    parts = [cut(tf.constant(replica)).numpy() for replica in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("shape", [(4, 4, 1), (5, 5, 3), (1,)])
def test_noise_of_some_rows_is_that_of_the_whole_batch(shape):
    """Also where a row's entries are no multiple of the four numbers that Philox gives at once."""
    whole = randomness.pixels(3, at(7), 0, (12, *shape), "noise_r1", 1).numpy()
    assert len(np.unique(whole)) == whole.size
    for rows in (1, 3, 4):
        for first in range(0, 12, rows):
            drawn = tf.function(
                lambda first, rows=rows: randomness.pixels(3, at(7), first, (rows, *shape), "noise_r1", 1)
            )
            np.testing.assert_array_equal(drawn(tf.constant(first)).numpy(), whole[first : first + rows])


def test_a_counter_of_philox_carries_into_its_upper_half(monkeypatch):
    """What two neighbouring rows draw where the lower half of the counter ends between them."""
    plain = tf.raw_ops.StatelessRandomGetKeyCounter

    def near_the_end(seed):
        found = plain(seed=seed)
        return found._replace(counter=tf.constant([2**64 - 1, 5], tf.uint64))

    monkeypatch.setattr(tf.raw_ops, "StatelessRandomGetKeyCounter", near_the_end)
    whole = randomness.pixels(3, at(7), 0, (2, 4), "x").numpy()
    np.testing.assert_array_equal(randomness.pixels(3, at(7), 1, (1, 4), "x").numpy(), whole[1:])


def test_purposes_beyond_the_numbered_ones_are_streams_of_their_own():
    drawn = [
        randomness.noise(seed, at(step), 1, 8, purpose, repeat).numpy().tobytes()
        for seed in (0, 1)
        for step in (0, 1)
        for purpose, repeat in (("", 0), ("generator", 0), ("generator", 1), ("discriminator", 0))
    ]
    assert len(set(drawn)) == 16
    shares = randomness.shares(0, at(0), 1000, "gradient_penalty").numpy()
    assert shares.min() >= 0 and shares.max() < 1 and abs(shares.mean() - 0.5) < 0.05


def test_seeds_steps_and_epochs_differ():
    noise = [
        randomness.noise(seed, at(step), 2, 8).numpy().tobytes() for seed in range(20) for step in range(5)
    ]
    assert len(set(noise)) == 100
    orders = [epoch.tobytes() for seed in range(20) for epoch in epochs(seed, 3, 300, 256)]
    assert len(set(orders)) == 60


def test_seeds_and_epochs_that_share_their_low_bits_differ():
    """The permutation takes 8 bits of each word of its key, so the key must be a hash of seed and epoch."""
    firsts = [indices(seed, 0, 64, 300, 256).tobytes() for seed in range(0, 2**31, 2**25)]
    assert len(set(firsts)) == 64
    orders = epochs(0, 600, 20, BLOCK)
    assert len({order.tobytes() for order in orders}) == 600


def test_the_rows_of_one_batch_of_noise_differ():
    assert len(np.unique(randomness.noise(0, at(0), 64, 3).numpy(), axis=0)) == 64


def test_purposes_never_share_a_stream():
    """Keys of neighbouring seeds and of the purposes of one seed are all different."""
    noise = [
        randomness.noise(seed, at(row), 1, 8).numpy().tobytes() for seed in range(20) for row in range(3)
    ]
    grids = [row.tobytes() for seed in range(20) for row in randomness.sample_latents(seed, 3, 8).numpy()]
    assert len(set(noise + grids)) == 120


def test_the_largest_seed_and_a_far_step_work():
    seed, step = 2**31 - 1, 2**40
    assert np.isfinite(randomness.noise(seed, at(step), 2, 8)).all()
    found = indices(seed, step, 64, 1000, 512)
    assert ((found >= 0) & (found < 1000)).all()


def test_noise_is_standard_normal():
    drawn = np.concatenate([randomness.noise(0, at(step), 256, 100).numpy().ravel() for step in range(10)])
    assert drawn.dtype == np.float32
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1) < 0.01
    assert abs((np.abs(drawn) < 1).mean() - 0.6827) < 0.005
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.01
    assert np.abs(drawn).max() < 7


def test_a_small_set_is_shuffled_evenly():
    """Each of 10 images comes first in about a tenth of the epochs, neighbours are no closer than chance."""
    drawn = epochs(0, 2000, 10, BLOCK)
    for place in (0, 4, 9):
        seen = np.bincount(drawn[:, place], minlength=10)
        assert (np.abs(seen - 200) < 70).all(), seen
    distance = np.abs(np.diff(epochs(0, 1, 3000, 4096)[0])).mean()
    assert abs(distance - 1000) < 60


def test_blocks_are_read_in_another_order_in_each_epoch():
    order = [tuple(epoch[::BLOCK] // BLOCK) for epoch in epochs(0, 6, 8 * BLOCK, BLOCK)]
    assert len(set(order)) == 6


@pytest.mark.parametrize("count", [1, 5, 16])
def test_the_first_latents_of_a_grid_are_the_same_whatever_its_size(count):
    np.testing.assert_array_equal(
        randomness.sample_latents(4, count, 9), randomness.sample_latents(4, 16, 9)[:count]
    )


def test_latents_that_are_drawn_at_once_have_the_bits_of_each_drawn_by_itself(monkeypatch):
    plain, calls = tf.random.stateless_normal, []
    key = 4 * 16 + 1  # the seed and the purpose
    rows = [plain((9,), tf.constant([key, row], tf.int64), alg="philox").numpy() for row in range(300)]
    monkeypatch.setattr(tf.random, "stateless_normal", lambda *a, **b: calls.append(a) or plain(*a, **b))
    assert randomness.sample_latents(4, 300, 9).numpy().tobytes() == np.stack(rows).tobytes()
    assert len(calls) < 5  # and no operation of Python's for each


def test_the_streams_are_those_of_the_runs_that_exist():
    """Whoever changes these numbers ends the promise that an older checkpoint resumes into the same bits."""
    assert indices(0, 0, 8, 5000, 16384).tolist() == [1050, 1985, 4999, 1006, 4138, 519, 4549, 1373]
    assert indices(0, 0, 8, 5000, 512).tolist() == [1991, 1985, 4424, 1792, 1986, 1835, 4549, 1842]
    assert indices(7, 1000, 8, 5000, 512).tolist() == [4631, 3005, 2855, 4750, 4688, 2865, 4714, 4786]
    # The last bit of a normal number may differ between processors, the bits it was made from may not.
    np.testing.assert_allclose(randomness.noise(0, at(0), 2, 4), NOISE, rtol=1e-5)
    np.testing.assert_allclose(randomness.sample_latents(0, 2, 4), LATENTS, rtol=1e-5)


NOISE = [
    [-1.697034001, -0.4813767076, -0.6622369289, 0.08701118827],
    [-1.000162244, 0.9434740543, 0.6166947484, 0.2135651112],
]
LATENTS = [
    [0.1266503036, -0.4930165708, 0.6311907172, -0.7888465524],
    [1.665216327, 1.366376042, 0.7786316276, 0.9834321141],
]
