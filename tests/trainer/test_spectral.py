"""Spectral normalization against Miyato et al. 2018, algorithm 1 and equation 12, written again in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.steps import fed
from trainer import config
from trainer.environment.tf_config import Cluster
from trainer.networks.spectral import SpectralConv2D, SpectralDense
from trainer.training.distribution import connect
from trainer.training.state import State
from trainer.training.step import Stepper

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
SPECTRAL = "network.discriminator_normalization=spectral"
NETWORKS = {
    "mlp": ("network.generator_units=[8]", "network.discriminator_units=[9,7]"),
    "dcgan": ("network.generator_filters=[8,4]", "network.discriminator_filters=[4,8]"),
}


def layer(kind):
    """A built layer and an input of it."""
    first = keras.initializers.RandomNormal(stddev=1.0, seed=1)
    options = {"first": first, "kernel_initializer": keras.initializers.GlorotUniform(seed=2), "name": "one"}
    if kind == "dense":
        made, shape = SpectralDense(7, **options), (5, 6)
    else:
        made, shape = SpectralConv2D(4, 3, strides=2, padding="same", **options), (5, 6, 6, 2)
    made.build(shape)
    made.bias.assign(np.arange(made.bias.shape[0]))
    return made, tf.random.stateless_normal(shape, [1, 2])


def matrix(made):
    """W [outputs, inputs]."""
    kernel = np.float64(made.kernel.numpy())
    return kernel.reshape(-1, kernel.shape[-1]).T


def unit(vector):
    return vector / np.linalg.norm(vector)


def estimate(made):
    """u and v as the layer has them, and sigma = u' W v."""
    u, v = np.float64(made.u.numpy()), np.float64(made.v.numpy())
    return u, v, u @ matrix(made) @ v


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_the_weight_that_is_used_is_w_over_sigma(kind):
    made, inputs = layer(kind)
    made.u.assign(unit(np.arange(1.0, made.u.shape[0] + 1)))  # not the singular vectors: sigma is an estimate
    _, _, sigma = estimate(made)
    assert sigma < 0.99 * np.linalg.svd(matrix(made))[1][0]
    np.testing.assert_allclose(made.normalized(), made.kernel.numpy() / sigma, rtol=1e-5)
    plain = keras.layers.Dense(7) if kind == "dense" else keras.layers.Conv2D(4, 3, strides=2, padding="same")
    plain.build(inputs.shape)
    plain.set_weights([made.kernel.numpy() / sigma, made.bias.numpy()])
    np.testing.assert_allclose(made(inputs), plain(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_gradients_are_those_of_equation_12(kind):
    made, _ = layer(kind)
    made.u.assign(unit(np.arange(1.0, made.u.shape[0] + 1)))
    by = tf.random.stateless_normal(made.kernel.shape, [3, 4])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(by * made.normalized())
    found = tape.gradient(total, made.kernel.value).numpy()
    u, v, sigma = estimate(made)
    upstream = np.float64(by.numpy()).reshape(-1, u.size).T
    share = (upstream * matrix(made) / sigma).sum()  # lambda
    expected = (upstream - share * np.outer(u, v)) / sigma
    np.testing.assert_allclose(found.reshape(-1, u.size).T, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_an_iteration_is_the_papers_and_tends_to_the_largest_singular_value(kind):
    made, _ = layer(kind)
    largest = np.linalg.svd(matrix(made))[1][0]
    assert estimate(made)[2] == pytest.approx(largest, rel=0.05)  # as a run begins
    made.u.assign(first := unit(np.arange(1.0, made.u.shape[0] + 1)))
    made.iterate()
    v = unit(matrix(made).T @ first)
    np.testing.assert_allclose(made.v.numpy(), v, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(made.u.numpy(), unit(matrix(made) @ v), rtol=1e-4, atol=1e-6)
    for _ in range(100):
        made.iterate()
    assert estimate(made)[2] == pytest.approx(largest, rel=1e-3)


@pytest.mark.parametrize("preset", NETWORKS)
def test_a_step_moves_u_once_for_each_update_of_the_discriminator(preset):
    """Not by the generator's two updates, nor by a penalty's passes; and from its weights alone."""
    sets = ("batch_size=8", "xla=off", "g_repeats=2", "regularizers.r1.weight=1", *NETWORKS[preset])
    resolved = config.resolve(preset, (*sets, SPECTRAL))
    strategy = connect(Cluster(), 10)
    with strategy.scope():
        state = State(resolved)
    layers = [each for each in state.networks.discriminator.layers if hasattr(each, "iterate")]
    assert len(layers) == 3
    before, v_before = ([getattr(each, name).numpy() for each in layers] for name in "uv")
    fed(Stepper(resolved, strategy, state, tf.constant(IMAGES)), resolved, 40)(0, 1)
    for each, u, old in zip(layers, before, v_before, strict=True):
        v = unit(matrix(each).T @ u)
        assert not np.array_equal(each.v.numpy(), old)
        np.testing.assert_allclose(each.u.numpy(), unit(matrix(each) @ v), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(each.v.numpy(), v, rtol=1e-3, atol=1e-5)
    after = [each.u.numpy() for each in layers]
    for training in (True, False):
        state.networks.discriminator(tf.zeros((2, *resolved.image.shape)), training=training)
    assert all(np.array_equal(each.u.numpy(), u) for each, u in zip(layers, after, strict=True))


@pytest.mark.parametrize("preset", NETWORKS)
def test_its_vectors_are_kept_by_name_and_no_other_run_has_any(preset):
    spectral, plain = (
        State(config.resolve(preset, (*NETWORKS[preset], f"network.discriminator_normalization={kind}")))
        for kind in ("spectral", "none")
    )
    more = spectral.variables().keys() - plain.variables().keys()
    kernels = [name for name in plain.variables() if name.startswith("discriminator/") and "kernel" in name]
    assert more == {name.replace("kernel", vector) for name in kernels for vector in "uv"}
    assert plain.variables().keys() <= spectral.variables().keys()


def test_it_makes_a_critic_and_goes_with_penalties():
    for preset, sets in NETWORKS.items():
        for more in (
            "loss=wasserstein",
            "regularizers.gradient_penalty.weight=1",
            "regularizers.r1.weight=1",
        ):
            config.resolve(preset, (*sets, SPECTRAL, more))
