"""Gradient accumulation: the same sums as of one batch, and what it cannot go with."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.steps import fed
from trainer import config
from trainer.environment.tf_config import Cluster
from trainer.errors import ConfigError
from trainer.networks.sizes import sizes
from trainer.training.distribution import connect
from trainer.training.state import State
from trainer.training.step import Stepper

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
MLP = ("mlp", "network.generator_units=[12]", "network.discriminator_units=[12]")
DCGAN = (
    "dcgan",
    "network.generator_filters=[6,4]",
    "network.discriminator_filters=[4,6]",
    "network.generator_normalization=none",
)
CASES = {
    "plain": MLP,
    "compiled": (*MLP, "xla=auto"),
    "pairs": (
        *(*MLP, "loss=rpgan", "regularizers.gradient_penalty.weight=1", "regularizers.r1.weight=1"),
        *("regularizers.r1.every=2", "regularizers.instance_noise.stddev=0.1", "d_repeats=2", "g_repeats=2"),
    ),
    "classes": (*MLP, "conditioning.kind=acgan"),
    "spectral": (*DCGAN, "network.discriminator_normalization=spectral", "regularizers.r2.weight=1"),
}


def step(preset, *sets):
    """A line and the first moments of Adam after one step of 8 images."""
    resolved = config.resolve(preset, ("batch_size=8", "xla=off", *sets))
    strategy = connect(Cluster(), 10)
    with strategy.scope():
        state = State(resolved)
    run = fed(Stepper(resolved, strategy, state, tf.constant(IMAGES)), resolved, 40)
    line = run(0, 1).metrics
    moments = {
        name: each.numpy() for name, each in state.variables().items() if name.endswith("first_moment")
    }
    return line, moments


@pytest.mark.parametrize("name", CASES)
def test_parts_add_up_to_the_whole(name):
    whole, expected = step(*CASES[name])
    line, moments = step(*CASES[name], "microbatch=2")
    assert line == pytest.approx(whole, rel=1e-4)
    for which, moment in moments.items():
        scale = max(np.abs(expected[which]).max(), 1e-3)
        assert np.abs(moment - expected[which]).max() < 2e-4 * scale, which
    assert any(not np.array_equal(moment, expected[which]) for which, moment in moments.items())


def test_one_part_is_the_whole_bit_for_bit():
    whole, parts = step(*MLP), step(*MLP, "microbatch=8")
    assert whole[0] == parts[0]
    assert all(np.array_equal(moment, parts[1][name]) for name, moment in whole[1].items())


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (("mlp", "microbatch=24"), ("microbatch is 24", "divisor of batch_size (64)")),
        (
            ("dcgan", "microbatch=16"),
            ("microbatch is 16", "normalization in the generator", "network.generator_normalization=none"),
        ),
        (
            ("dcgan", "microbatch=16", "network.generator_normalization=none"),
            ("in the discriminator", "network.discriminator_normalization=none or spectral"),
        ),
    ],
)
def test_what_depends_on_the_batch_is_refused(sets, words):
    with pytest.raises(ConfigError) as error:
        config.resolve(sets[0], sets[1:])
    assert all(word in str(error.value) for word in words), error.value


def test_a_part_has_to_fit_into_each_replicas_images():
    resolved = config.resolve("mlp", ["microbatch=32"])
    assert resolved.per_replica_batch(2) == 32
    with pytest.raises(ValueError, match="microbatch is 32, expected a divisor of 16: batch_size 64 over 4"):
        resolved.per_replica_batch(4)


def test_it_takes_less_memory_and_draws_the_last_images_twice():
    whole, parts = (sizes(config.resolve("mlp", sets)) for sets in ((), ("microbatch=16",)))
    assert parts.memory_bytes(64)["activations"] * 4 == whole.memory_bytes(64)["activations"]
    assert parts.memory_bytes(64)["gradients"] == 2 * whole.memory_bytes(64)["gradients"]
    assert parts.memory_bytes(16) == whole.memory_bytes(16)
    assert parts.flop_per_image - whole.flop_per_image == sum(layer.flop for layer in whole.generator)
