"""An architecture is one file: what it describes once is built, counted, trained, saved and exported."""

from typing import Literal

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import RunConfig, resolve
from trainer.networks.builder import Architecture, Builder, LatentSize, Normal, T
from trainer.networks.conditioning import Conditioning
from trainer.networks.keras_builder import build, named_variables, portable_generator
from trainer.networks.sizes import sizes
from trainer.sections import Image
from trainer.training.state import State


class Toy(Architecture):
    """Every layer that a builder has, none twice the same."""

    name: Literal["toy"] = "toy"
    latent_size: LatentSize = 6

    def generator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        x = builder.input((self.latent_size,), "latents")
        x = builder.dense(x, 4 * 4 * 3, "project", weights=Normal(0.1))
        x = builder.reshape(x, (4, 4, 3), "grid")
        x = builder.normalization(x, "even", momentum=0.9, epsilon=1e-5, scale=Normal(0.02, 1.0))
        x = builder.relu(x, "positive")
        return builder.up_convolution(x, image.channels, "image", kernel=3, activation="tanh")

    def discriminator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        x = builder.input(image.shape, "image")
        x = builder.convolution(x, 5, "wide", kernel=2, bias=False)
        x = builder.convolution(x, 2, "half", kernel=3, stride=2)
        x = builder.leaky_relu(x, 0.1, "leaky")
        return builder.dense(builder.flatten(x, "flat"), 1, "logit", bias=False)


@pytest.fixture
def config():
    """A run of the toy's, as if it stood in `networks.Network`."""
    values = resolve("mlp", ["image.height=8", "image.width=8", "batch_size=4"])
    return RunConfig.model_construct(**dict(values) | {"network": Toy()})


def test_what_is_described_once_is_counted_as_it_is_built(config):
    found, networks = sizes(config), build(config)
    for ours, network in zip(found[:2], networks, strict=True):
        assert sum(size.parameters for size in ours) == network.count_params()
        assert ours[-1].output_shape == network.output_shape[1:]
    assert found.batch_dependent and networks.batch_dependent and networks.convolves
    assert not build(resolve("mlp")).convolves
    variables = ("wide/kernel", "half/kernel", "half/bias", "logit/kernel")
    assert list(named_variables(networks.discriminator)) == [f"discriminator/{each}" for each in variables]


def test_it_is_kept_by_a_checkpoint_and_exported_as_it_is(config):
    state = State(config)
    assert "adam/generator/even/gamma/first_moment" in state.variables()
    latents = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    portable = portable_generator(config, state.networks.generator.get_weights())
    assert {type(layer).__module__.split(".")[0] for layer in portable.layers} == {"keras"}
    np.testing.assert_array_equal(portable(latents), state.networks.generator(latents, training=False))


def test_first_weights_are_of_their_names_not_of_what_was_built_before(config):
    whole = named_variables(build(config).discriminator)
    again = named_variables(build(config).discriminator)
    assert all(np.array_equal(whole[name], again[name]) for name in whole)
    first = named_variables(build(config.model_copy(update={"network": Wider()})).discriminator)
    assert np.array_equal(first["discriminator/wide/kernel"], whole["discriminator/wide/kernel"])
    other = named_variables(build(config.model_copy(update={"seed": 1})).discriminator)
    assert not np.array_equal(other["discriminator/wide/kernel"], whole["discriminator/wide/kernel"])


class Wider(Toy):
    """The toy with a layer before all others of D."""

    def discriminator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        x = builder.convolution(builder.input(image.shape, "image"), image.channels, "before", kernel=1)
        x = builder.convolution(x, 5, "wide", kernel=2, bias=False)
        return builder.dense(builder.flatten(x, "flat"), 1, "logit")


class Block(keras.layers.Layer):
    """Two layers in one, as a residual block has them."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first, self.second = keras.layers.Dense(2, name="first"), keras.layers.Dense(2, name="second")

    def call(self, inputs):
        return inputs + self.second(self.first(inputs))


def test_two_variables_of_one_name_are_refused(config, monkeypatch):
    state = State(config)
    monkeypatch.setattr(state, "_named", lambda: iter([("average/x", 1), ("average/x", 2)]))
    with pytest.raises(ValueError, match="two variables are called average/x"):
        state.variables()


def test_variables_of_nested_layers_have_names_of_their_own():
    for _ in range(2):  # whatever was built before
        model = keras.Sequential([keras.Input((2,)), Block(name="one"), Block(name="two")], name="g")
        assert list(named_variables(model)) == [
            f"g/{block}/{layer}/{kind}"
            for block in ("one", "two")
            for layer in ("first", "second")
            for kind in ("kernel", "bias")
        ]
        assert all(isinstance(variable, tf.Variable) for variable in named_variables(model).values())
