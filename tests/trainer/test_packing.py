"""Packing: the discriminator's loss is PacGAN's, packs are the global batch's; what cannot go with them."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.steps import drawn, fed
from trainer import config, randomness
from trainer.environment.tf_config import Cluster
from trainer.errors import ConfigError
from trainer.methods.packing import packed
from trainer.networks.sizes import sizes
from trainer.training.distribution import connect
from trainer.training.state import State
from trainer.training.step import Stepper

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
SMALL = ("network.generator_units=[8]", "network.discriminator_units=[8]", "batch_size=8", "xla=off")


def test_a_pack_has_its_images_as_channels():
    images = np.arange(4 * 2 * 3 * 3, dtype=np.float32).reshape(4, 2, 3, 3)
    found = packed(tf.constant(images), 2)
    expected = [np.concatenate([images[0], images[1]], -1), np.concatenate([images[2], images[3]], -1)]
    assert np.array_equal(found, np.stack(expected))
    halves = [packed(tf.constant(half), 2) for half in np.split(images, 2)]
    assert np.array_equal(np.concatenate(halves), found)  # on two replicas


def unpacked(images):
    """The discriminator's input from images [n, 28, 28, 1], two by two."""
    return np.stack([np.concatenate([images[i], images[i + 1]], -1) for i in range(0, len(images), 2)])


def test_losses_are_means_over_packs():
    """D's before the first update, and G's after it with D unchanged, of LSGAN's formula and of R1's."""
    sets = (
        "packing=2",
        "loss=lsgan",
        "regularizers.r1.weight=3",
        "optimizer.discriminator.learning_rate=1e-30",
    )
    resolved = config.resolve("mlp", (*SMALL, *sets))
    strategy = connect(Cluster(), 10)
    with strategy.scope():
        state = State(resolved)
    generator, discriminator = state.networks
    assert discriminator.input_shape == (None, 28, 28, 2)
    fake = unpacked(generator(randomness.noise(0, tf.constant(0, tf.int64), 8, 100)).numpy())
    real = tf.constant(unpacked(np.float32(IMAGES[drawn(resolved, 40, 0, 1)[0]] / 127.5 - 1)))
    found = fed(Stepper(resolved, strategy, state, tf.constant(IMAGES)), resolved, 40)(0, 1).metrics
    with tf.GradientTape() as tape:
        tape.watch(real)
        scores = discriminator(real)
    slopes = tape.gradient(scores, real).numpy().reshape(4, -1)
    assert found["r1"] == pytest.approx(3 / 2 * (slopes**2).sum(1).mean(), rel=1e-4)
    of_fake = discriminator(fake).numpy()
    assert found["d_loss_real"] == pytest.approx(0.5 * ((scores.numpy() - 1) ** 2).mean(), rel=1e-4)
    assert found["d_loss_fake"] == pytest.approx(0.5 * (of_fake**2).mean(), rel=1e-4)
    assert found["g_loss"] == pytest.approx(0.5 * ((of_fake - 1) ** 2).mean(), rel=1e-4)
    assert found["d_accuracy_real"] == pytest.approx((scores.numpy() > 0.5).mean())


def test_what_cannot_be_packed_is_refused():
    for sets, words in (
        (("packing=3",), ("packing is 3", "divisor of batch_size (64)")),
        (("packing=4", "microbatch=2"), ("packing is 4", "divisor of microbatch (2)")),
        (("packing=2", "conditioning.kind=projection"), ("packing is 2", "expected 1", "kind projection")),
    ):
        with pytest.raises(ConfigError) as error:
            config.resolve("mlp", sets)
        assert all(word in str(error.value) for word in words), error.value
    resolved = config.resolve("mlp", ["packing=16"])
    assert resolved.per_replica_batch(4) == 16
    with pytest.raises(ValueError, match="packing is 16, expected a divisor of 8: batch_size 64 over 8"):
        resolved.per_replica_batch(8)


def test_it_is_counted():
    """The first layer is wider, and the discriminator works on half as many inputs."""
    plain, packs = (sizes(config.resolve("mlp", sets)) for sets in ((), ("packing=2",)))
    assert packs.discriminator[1].trainable == (2 * 784 * 1024, 1024)
    g, d = (sum(layer.flop for layer in layers) for layers in packs[:2])
    first_g, first_d = (next(layer.flop for layer in layers if layer.flop) for layers in packs[:2])
    assert packs.flop_per_image == (3 * d - first_d) + d + 3 * g - first_g
    outputs = [sum(layer.outputs for layer in layers) for layers in packs[:2]]
    assert packs.memory_bytes(64)["activations"] == 4 * 64 * (outputs[0] + outputs[1])
    assert packs.flop_per_image < plain.flop_per_image
