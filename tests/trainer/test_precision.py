"""Narrow types: what is computed in them and what is not, the loss scale, and NaN in earnest."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.steps import fed
from trainer import config
from trainer.environment.tf_config import Cluster
from trainer.errors import ConfigError
from trainer.networks.keras_builder import build, call
from trainer.networks.layers import GroupedConv2D
from trainer.networks.sizes import sizes
from trainer.optimizers.loss_scale import LossScale
from trainer.sampling.shown import Shown
from trainer.training.distribution import connect
from trainer.training.state import State
from trainer.training.step import Stepper

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
SMALL = (
    "network.generator_units=[8]", "network.discriminator_units=[8]", "batch_size=8", "xla=off", "seed=3",
)  # fmt: skip
# 4x4 to 8x8, where a transposed convolution's gradient is a matrix product of its own.
CONVOLVING = (
    "network.generator_filters=[6,4,4]", "network.discriminator_filters=[4,6]", "image.height=32",
    "image.width=32", "batch_size=8", "seed=3",
)  # fmt: skip
NARROW = ("bfloat16", "float16")


def played(*sets):
    resolved = config.resolve("mlp", (*SMALL, *sets))
    strategy = connect(Cluster(), 10)
    with strategy.scope():
        state = State(resolved)
    return state, fed(Stepper(resolved, strategy, state, tf.constant(IMAGES)), resolved, 40)


@pytest.mark.parametrize("precision", NARROW)
@pytest.mark.parametrize("normalization", ["batch", "spectral"])
def test_layers_compute_in_it_and_variables_do_not(precision, normalization):
    """Outputs and gradients are near float32's, and not the same."""
    sets = (*CONVOLVING, f"network.discriminator_normalization={normalization}")
    whole, narrow = (
        build(config.resolve("dcgan", (*sets, f"precision={each}"))) for each in ("float32", precision)
    )
    latents = tf.random.stateless_normal((8, 100), (1, 2))
    found = []
    for networks in (whole, narrow):
        weights = [weight.value for weight in networks.generator.trainable_variables]
        with tf.GradientTape() as tape:
            images = call(networks.generator, latents, None, training=True)
            scores = call(networks.discriminator, images, None, training=True)
            total = tf.reduce_sum(scores)
        gradients = tape.gradient(total, weights)
        assert images.dtype == scores.dtype == tf.float32
        assert {each.dtype for each in gradients} == {tf.float32}
        found.append([images, scores, *gradients])
    for one, other in zip(*found, strict=True):
        apart = np.linalg.norm(other - one) / np.linalg.norm(one)
        assert 0 < apart < 0.2  # at most 0.096 and 0.069 were seen: rounding turns a LeakyReLU around
    assert all(layer.compute_dtype == precision for layer in narrow.generator.layers[1:])
    assert {each.dtype for network in narrow for each in network.variables} == {"float32"}
    assert all(layer.compute_dtype == "float32" for layer in build(config.resolve("mlp")).generator.layers)


def test_images_are_shown_in_float32():
    resolved = config.resolve("dcgan", (*CONVOLVING, "precision=bfloat16"))
    with connect(Cluster(), 10).scope():
        state = State(resolved)
    for weight in state.networks.generator.trainable_variables:
        weight.assign(weight + 0.01)
    shown = Shown(resolved, state.networks.generator, state.variables())
    shown.refresh()
    assert all(layer.compute_dtype == "float32" for layer in shown.generator.layers)
    latents = tf.random.stateless_normal((4, 100), (1, 2))
    exact = build(config.resolve("dcgan", CONVOLVING)).generator
    exact.set_weights(state.networks.generator.get_weights())
    np.testing.assert_allclose(shown.generator(latents), exact(latents), atol=1e-5)


@pytest.fixture
def scale():
    with connect(Cluster(), 10).scope():
        found = LossScale()
    found.scale.assign(8.0)
    return found


def applied(scale, gradient, by=8.0, sums=(1.0, 2.0)):
    """What an update was given, and what was left of the sums."""
    taken = []

    def update(gradients):
        taken.append(gradients[0])

    sums = scale.apply([tf.constant(gradient)], tf.constant(sums), tf.constant(by), update)
    return [each.numpy().tolist() for each in taken], sums.numpy().tolist()


def test_a_scale_is_halved_by_what_is_not_finite_and_doubled_by_many_that_are(scale, monkeypatch):
    monkeypatch.setattr("trainer.optimizers.loss_scale._GOOD_UPDATES", 3)
    assert applied(scale, [16.0, 8.0]) == ([[2.0, 1.0]], [1.0, 2.0])
    assert applied(scale, [np.inf, 8.0], sums=(np.nan, 2.0)) == ([], [0.0, 2.0])
    assert float(scale.scale) == 4 and float(scale.good) == 0
    assert applied(scale, [np.nan, 8.0]) == ([], [1.0, 2.0]) and float(scale.scale) == 4  # of the same step
    assert applied(scale, [1.0, 8.0]) == ([[0.125, 1.0]], [1.0, 2.0]) and float(scale.scale) == 4
    for _ in range(2):
        applied(scale, [1.0, 8.0], by=4.0)
    assert float(scale.scale) == 8 and float(scale.good) == 0


def test_at_one_what_is_not_finite_is_applied(scale):
    scale.scale.assign(1.0)
    [[bad]], sums = applied(scale, [np.nan], by=1.0, sums=(np.inf, 2.0))
    assert np.isnan(bad) and sums == [np.inf, 2.0] and float(scale.scale) == 1


def test_updates_are_left_out_until_the_scale_fits_and_resume_into_the_same_bits():
    """Of a scale far too large: nothing but the scale moves, and no NaN is told."""
    state, run = played("precision=float16", "regularizers.r1.weight=1", "averaging.half_life_images=9")
    state.loss_scale.scale.assign(2.0**40)
    before = {name: variable.numpy() for name, variable in state.variables().items()}
    outcome = run(0, 2)
    assert outcome.finite and float(state.loss_scale.scale) == 2.0**38
    for name, variable in state.variables().items():
        assert name.startswith("precision/") or np.array_equal(variable, before[name]), name
    assert np.isfinite([*outcome.metrics.values()]).all()
    assert outcome.metrics["loss_scale"] == 0.75 * 2.0**40
    kept = {name: tensor.numpy() for name, tensor in state.tensors().items()}
    assert run(2, 30).finite and float(state.loss_scale.scale) < 2.0**30
    moved = [
        name for name, variable in state.variables().items() if not np.array_equal(variable, before[name])
    ]
    assert {name.split("/")[0] for name in moved} >= {
        "generator",
        "discriminator",
        "adam",
        "ema",
        "precision",
    }
    again, run = played("precision=float16", "regularizers.r1.weight=1", "averaging.half_life_images=9")
    again.assign(kept)
    assert run(2, 30).finite
    for name, variable in again.variables().items():
        assert variable.numpy().tobytes() == state.variables()[name].numpy().tobytes(), name


def test_what_no_scale_helps_ends_the_run_with_its_name():
    state, run = played(
        "precision=float16",
        "optimizer.discriminator.learning_rate=0.9",
        "loss=wasserstein",
        "regularizers.weight_clipping.limit=1e6",
    )
    step = 0
    while (outcome := run(step, 5)).finite and step < 100:
        step += 5
    assert not outcome.finite and float(state.loss_scale.scale) == 1
    assert state.not_finite() in ("d_loss", "g_loss") or state.not_finite().startswith("gradient of ")


def test_activations_are_counted_by_their_type():
    whole, narrow = (
        sizes(config.resolve("mlp", (f"precision={each}",))).memory_bytes(64)
        for each in ("float32", "float16")
    )
    assert 2 * narrow.pop("activations") == whole.pop("activations") and narrow == whole


def test_penalties_that_rounding_swallows_are_refused_and_a_resume_holds_to_it():
    with pytest.raises(ConfigError) as error:
        config.resolve("mlp", ("precision=bfloat16", "regularizers.noise_r1.weight=0.25"))
    assert "regularizers.noise_r1.weight is 0.25, expected 0 with precision bfloat16" in str(error.value)
    found = config.conflicts(config.resolve("mlp"), config.resolve("mlp", ["precision=bfloat16"]))
    assert found == {"precision": ("float32", "bfloat16")}


def test_groups_of_channels_have_a_gradient_in_half_precision_without_a_gpu():
    inputs = tf.random.stateless_normal((2, 6, 6, 8), (1, 2))
    found = []
    for dtype in ("float32", "mixed_float16"):
        first = keras.initializers.HeNormal(seed=1)
        layer = GroupedConv2D(8, 3, groups=4, padding="same", dtype=dtype, kernel_initializer=first)
        given = tf.cast(inputs, layer.compute_dtype)
        layer.build(given.shape)
        with tf.GradientTape() as tape:
            outputs = layer(given)
            total = tf.reduce_sum(tf.cast(tf.square(outputs), tf.float32))
        assert outputs.dtype == layer.compute_dtype
        found.append(tape.gradient(total, layer.kernel.value))
    np.testing.assert_allclose(found[1], found[0], rtol=0.02, atol=0.05)
