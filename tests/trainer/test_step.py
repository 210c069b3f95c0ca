"""One step against the page's own recipe, written out plainly, and the layers against Keras'."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.steps import drawn, fed
from trainer import config, randomness
from trainer.environment.tf_config import Cluster
from trainer.networks.keras_builder import SyncBatchNormalization, build, portable_generator
from trainer.networks.layers import UpConvolution, batches_apart
from trainer.training.distribution import connect
from trainer.training.state import TALLY, State
from trainer.training.step import Stepper

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)


def stepper(preset, *overrides):
    resolved = config.resolve(preset, ("batch_size=8", *overrides))
    strategy = connect(Cluster(), 10)
    with strategy.scope():
        state = State(resolved)
    run = Stepper(resolved, strategy, state, tf.constant(IMAGES))
    return resolved, state, fed(run, resolved, len(IMAGES))


def page_step(resolved, generator, discriminator, time):
    """The page: D on real and fake, each half a loss, then G against the updated D with the same noise."""
    step = tf.constant(time - 1, tf.int64)
    real = tf.constant(IMAGES[drawn(resolved, len(IMAGES), time - 1, 1)[0]], tf.float32) / 127.5 - 1
    noise = randomness.noise(resolved.seed, step, 8, resolved.network.latent_size)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    ones, zeros = tf.ones((8, 1)), tf.zeros((8, 1))

    def d_loss():
        on_real = entropy(ones, discriminator(real, training=True))
        return 0.5 * (on_real + entropy(zeros, discriminator(generator(noise), training=True)))

    def g_loss():
        return entropy(ones, discriminator(generator(noise, training=True), training=True))

    losses = []
    for network, loss in ((discriminator, d_loss), (generator, g_loss)):
        with tf.GradientTape() as tape:
            value = loss()
        gradients = tape.gradient(value, network.trainable_variables)
        network.optimizer_for_test.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        losses.append(float(value))
    return losses


@pytest.mark.parametrize("xla", ["auto", "off"])
def test_three_steps_are_the_pages(xla):
    resolved, state, run = stepper("mlp", f"xla={xla}")
    networks = build(resolved)
    for network, ours in zip(networks, state.networks, strict=True):
        network.set_weights(ours.get_weights())
        network.optimizer_for_test = keras.optimizers.Adam(2e-4, beta_1=0.5)
    for time in (1, 2, 3):
        d_loss, g_loss = page_step(resolved, *networks, time)
        state.begin_line()
        outcome = run(time - 1, 1)
        assert outcome.metrics["d_loss"] == pytest.approx(d_loss, rel=1e-4)
        assert outcome.metrics["g_loss"] == pytest.approx(g_loss, rel=1e-4)
    for network, ours in zip(networks, state.networks, strict=True):
        for expected, found in zip(network.get_weights(), ours.get_weights(), strict=True):
            # Adam makes a step of 2e-4 of any gradient, so a rounding of a tiny one can show in full.
            assert np.abs(expected - found).mean() < 2e-6


@pytest.mark.parametrize("preset", ["mlp", "dcgan"])
def test_many_steps_in_one_call_are_the_same_steps(preset):
    smaller = (
        () if preset == "mlp" else ("network.generator_filters=[8,4]", "network.discriminator_filters=[4,8]")
    )
    _, one_by_one, run = stepper(preset, "xla=off", *smaller)
    for step in range(4):
        outcome = run(step, 1)
    _, at_once, run = stepper(preset, "xla=off", *smaller)
    assert run(0, 4).metrics == outcome.metrics
    for name, variable in one_by_one.variables().items():
        assert variable.numpy().tobytes() == at_once.variables()[name].numpy().tobytes(), name


def test_streamed_calls_of_every_length_are_one_trace_and_give_the_tables_bits():
    resolved, in_memory, run = stepper("mlp", "xla=off")
    expected = run(0, 10).metrics
    strategy = connect(Cluster(), 10)
    with strategy.scope():
        state = State(resolved)
    streamed, step = Stepper(resolved, strategy, state), 0
    for count in (1, 3, 2, 4):
        images = IMAGES[drawn(resolved, len(IMAGES), step, count)]
        outcome = streamed(step, count, False, 1, images)
        step += count
    assert outcome.metrics == expected
    for name, variable in in_memory.variables().items():
        assert variable.numpy().tobytes() == state.variables()[name].numpy().tobytes(), name
    assert streamed._run.experimental_get_tracing_count() == 1


def test_a_line_has_the_means_of_its_steps_wherever_they_were_cut():
    _, state, run = stepper("mlp", "xla=off")
    begun = {name: tensor.numpy() for name, tensor in state.tensors().items()}
    single = []
    for step in range(6):
        state.begin_line()
        single.append(run(step, 1).metrics)
    lines = []
    for cut in ((6,), (1, 5), (4, 2), (2, 3, 1)):
        state.assign(begun)
        step = 0
        for count in cut:
            state.assign({name: tensor.numpy() for name, tensor in state.tensors().items()})
            line = run(step, count).metrics
            step += count
        lines.append(line)
    assert lines[1:] == lines[:-1]  # to the bit
    for name, mean in lines[0].items():
        assert mean == pytest.approx(np.mean([each[name] for each in single]), rel=1e-6)


def test_a_checkpoint_of_before_there_were_tallies_begins_a_line():
    _, state, run = stepper("mlp", "xla=off")
    run(0, 2)
    old = {name: variable.numpy() for name, variable in state.variables().items()}
    state.begin_line()
    state.assign(old)
    assert run(2, 1).metrics["d_loss"] > 0
    assert state.tally.numpy()[-1] == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_call_says_whether_anything_that_is_kept_is_not_finite(bad):
    _, state, run = stepper(
        "mlp", "xla=off", "network.generator_units=[8]", "network.discriminator_units=[8]"
    )
    assert run(0, 2).finite and state.not_finite() is None
    good = {name: tensor.numpy() for name, tensor in state.tensors().items()}
    for name, variable in state.variables().items():
        state.assign(good)
        values = variable.numpy()
        values.flat[-1] = bad
        variable.assign(values)
        assert not run(2, 1).finite, name
        assert state.not_finite() is not None
    state.assign({**good, TALLY: good[TALLY] * bad})
    assert not run(2, 1).finite and state.not_finite() == "d_loss"


def test_every_worker_learns_of_a_stop_and_the_chiefs_proposal():
    _, _, run = stepper("mlp", "xla=off")
    assert not run(0, 1, False, 7).stop
    outcome = run(1, 1, True, 7)
    assert outcome.stop and outcome.next_count == 7


@pytest.mark.parametrize(
    ("preset", "generator", "discriminator"),
    [("mlp", 1_506_448, 1_460_225), ("dcgan64", 18_858_883, 4_317_441)],
)
def test_parameters_are_those_of_the_papers_tables(preset, generator, discriminator):
    networks = build(config.resolve(preset))
    assert networks.generator.count_params() == generator
    assert networks.discriminator.count_params() == discriminator


@pytest.mark.parametrize("preset", ["mlp", "dcgan", "dcgan64"])
def test_shapes_and_range(preset):
    resolved = config.resolve(preset)
    networks = build(resolved)
    images = networks.generator(randomness.noise(0, tf.constant(0, tf.int64), 3, 100), training=False)
    assert tuple(images.shape) == (3, *resolved.image.shape)
    assert float(tf.reduce_max(tf.abs(images))) <= 1
    assert tuple(networks.discriminator(images, training=False).shape) == (3, 1)


def test_the_portable_generator_draws_the_same_images():
    resolved = config.resolve("dcgan")
    trained = build(resolved).generator
    latents = randomness.sample_latents(1, 4, 100)
    copy = portable_generator(resolved, trained.get_weights())
    assert {type(layer).__module__.split(".")[0] for layer in copy.layers} == {"keras"}
    assert np.array_equal(copy(latents, training=False), trained(latents, training=False))


def test_batch_normalization_is_keras_own():
    inputs = tf.random.stateless_normal((6, 4, 4, 3), [1, 2]) * 3 + 1
    ours, theirs = SyncBatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    for _ in range(2):
        found, expected = ours(inputs, training=True), theirs(inputs, training=True)
        assert np.allclose(found, expected, atol=1e-5)
    for mine, keras_own in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert np.allclose(mine, keras_own, atol=1e-5)
    assert np.allclose(ours(inputs, training=False), theirs(inputs, training=False), atol=1e-4)


def test_two_batches_at_once_are_normalized_as_one_after_the_other():
    inputs = tf.random.stateless_normal((12, 4, 4, 3), [1, 2]) * 3 + 1
    together, apart = SyncBatchNormalization(momentum=0.9), SyncBatchNormalization(momentum=0.9)
    with batches_apart(2):
        found = together(inputs, training=True)
    expected = tf.concat([apart(half, training=True) for half in tf.split(inputs, 2)], 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for one, two in zip(together.get_weights(), apart.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("shape", [(128, 32, 32, 2), (131072, 2)])  # the fused kernel's way, and our own
def test_batch_normalization_counts_what_no_half_precision_number_holds(shape):
    inputs = tf.random.stateless_normal(shape, [1, 2]) * 3 + 1
    half = SyncBatchNormalization(momentum=0.5, dtype="mixed_float16")
    whole = SyncBatchNormalization(momentum=0.5)
    found, expected = half(tf.cast(inputs, tf.float16), training=True), whole(inputs, training=True)
    assert found.dtype == tf.float16
    np.testing.assert_allclose(tf.cast(found, tf.float32), expected, atol=0.01)
    for mine, theirs in zip(half.get_weights(), whole.get_weights(), strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("side", [2, 4, 8])
def test_an_up_convolution_and_its_gradients_are_keras_own(side):
    inputs = tf.random.stateless_normal((5, side, side, 6), [3, 4])
    ours, theirs = (
        kind(7, 5, strides=2, padding="same", use_bias=False)
        for kind in (UpConvolution, keras.layers.Conv2DTranspose)
    )
    results = []
    for layer in (ours, theirs):
        layer.build(inputs.shape)
        layer.set_weights([np.random.default_rng(1).standard_normal((5, 5, 7, 6)).astype(np.float32)])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            total = tf.reduce_sum(outputs * tf.sin(outputs))
        results.append([outputs, *tape.gradient(total, [inputs, layer.kernel.value])])
    for found, expected in zip(*results, strict=True):
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("preset", ["mlp", "dcgan"])
def test_first_weights_touch_no_generator_that_other_threads_share(preset):
    # The storage client draws the pauses of its retries from it, on threads of its own.
    before = random.getstate()
    first, second = (build(config.resolve(preset, ["seed=3"])) for _ in range(2))
    assert random.getstate() == before
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
            assert a.tobytes() == b.tobytes()
