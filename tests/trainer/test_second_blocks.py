"""Blocks of the networks against those of PyTorch that bench/second_blocks.py wrote down."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from trainer.networks.attention import self_attention
from trainer.networks.builder import Normal
from trainer.networks.keras_builder import KerasBuilder
from trainer.networks.r3gan import R3gan, triangle_down, triangle_up
from trainer.networks.sngan import Sngan
from trainer.networks.spectral import Spectral

BLOCKS = json.loads((Path(__file__).parents[2] / "bench/second_blocks.json").read_text())["blocks"]
PLAIN, SPECTRAL = (Sngan(name="sngan", discriminator_normalization=kind) for kind in ("none", "spectral"))
BOTTLENECK = R3gan(name="r3gan", widths=(6,), groups=(3,), blocks=1)
RATE = 0.05  # as there
MADE = {
    "sngan up": lambda builder, x: PLAIN.up_block(builder, x, 3, "b"),
    "sngan first": lambda builder, x: PLAIN.down_block(builder, x, 4, 1),
    "sngan first spectral": lambda builder, x: SPECTRAL.down_block(builder, x, 4, 1),
    "sngan down": lambda builder, x: PLAIN.down_block(builder, x, 4, 2),
    "sngan down spectral": lambda builder, x: SPECTRAL.down_block(builder, x, 4, 2),
    "sngan plain": lambda builder, x: PLAIN.down_block(builder, x, 3, 3),
    "attention": lambda builder, x: self_attention(builder, x, "a"),
    "r3gan block": lambda builder, x: BOTTLENECK.block(builder, x, 3, "b"),
    "triangle up": lambda builder, x: triangle_up(builder, x, "t"),
    "triangle down": lambda builder, x: triangle_down(builder, x, "t"),
    "r3gan spread": lambda builder, x: builder.spread(x, 4, 3, "basis", weights=Normal(1.0)),
    "r3gan gather": lambda builder, x: builder.gather(x, "basis", weights=Normal(1.0)),
    "sum map": lambda builder, x: builder.sum_map(x, "sum"),
}


def made(name: str, *, portable: bool = False):
    """Our block with the weights that PyTorch's had, and those by name."""
    builder, said = KerasBuilder(0, "n", portable=portable), BLOCKS[name]
    model = builder.model(MADE[name](builder, builder.input(np.shape(said["input"])[1:], "x")))
    weights = {
        f"{layer.name}/{each.name}": each for layer in model.layers for each in layer.trainable_variables
    }
    assert weights.keys() == said["weights"].keys()
    for key, value in said["weights"].items():
        weights[key].assign(value)
    for layer, u in said["u"].items():
        model.get_layer(layer).u.assign(u)
    iterate(model)
    return model, weights


def iterate(model):
    for layer in model.layers:
        if isinstance(layer, Spectral):
            layer.iterate()


def close(ours, theirs, largest=1.0):
    """To float32's accuracy: a few units of the seventh digit of the largest number that was added up."""
    theirs = np.float64(theirs)
    least = 4e-6 * max(largest, np.abs(theirs).max())
    np.testing.assert_allclose(np.float64(ours), theirs, rtol=2e-5, atol=least)


def largest(gradients):
    """Of all weights, as those of a bias before batch normalization are sums of such that come to 0."""
    return max((np.abs(each).max() for each in gradients.values()), default=0.0)


def test_each_block_is_compared():
    assert MADE.keys() == BLOCKS.keys()


@pytest.mark.parametrize("name", MADE)
def test_values_and_gradients_are_those_of_pytorch(name):
    said, (model, weights) = BLOCKS[name], made(name)
    variables = [each.value for each in weights.values()]

    @tf.function(autograph=False)
    def play(x, by):
        with tf.GradientTape(persistent=True) as outer:
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                output = model(x, training=True)
                total = tf.reduce_sum(output * by)
            to_input = tape.gradient(total, x)
            penalty = tf.reduce_sum(to_input**2)
        to_weights = tape.gradient(total, variables)
        of_penalty = outer.gradient(penalty, variables, unconnected_gradients="zero")
        return output, to_input, to_weights, of_penalty

    output, to_input, to_weights, of_penalty = play(*map(tf.constant, (said["input"], said["by"])))
    close(output, said["output"])
    close(to_input, said["to_input"])
    for kind, found in (("to_weights", to_weights), ("of_penalty", of_penalty)):
        for key, gradient in zip(weights, found, strict=True):
            close(gradient, said[kind][key], largest(said[kind]))


@pytest.mark.parametrize("name", [name for name in MADE if name.endswith("spectral")])
def test_spectral_normalization_follows_several_updates(name):
    said, (model, weights) = BLOCKS[name], made(name)
    x, by = map(tf.constant, (said["input"], said["by"]))
    assert len(said["updates"]) == 3
    for output in said["updates"]:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(x, training=True) * by)
        steps = tape.gradient(total, [each.value for each in weights.values()])
        for weight, step in zip(weights.values(), steps, strict=True):
            weight.assign(weight.value - RATE * step)
        iterate(model)
        close(model(x, training=True), output)


@pytest.mark.parametrize("name", ["attention", "r3gan block", "triangle up", "r3gan spread"])
def test_a_portable_block_draws_the_same(name):
    model, _ = made(name, portable=True)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    close(model(tf.constant(BLOCKS[name]["input"])), BLOCKS[name]["output"])
