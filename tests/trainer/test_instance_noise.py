"""Instance noise: as large as was asked, on all that D is shown, the global batch's values."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.steps import drawn, fed
from trainer import config, randomness
from trainer.environment.tf_config import Cluster
from trainer.regularizers import InstanceNoise
from trainer.regularizers.instance_noise import stddev
from trainer.training.distribution import connect
from trainer.training.draws import Draws
from trainer.training.state import State
from trainer.training.step import Stepper

SETS = (
    "batch_size=8",
    "seed=3",
    "regularizers.instance_noise.stddev=0.4",
    "regularizers.instance_noise.decay_to=10",
)
SMALL = (*SETS, "xla=off", "network.generator_units=[8]", "network.discriminator_units=[8]")
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)


def draws(step=0, replica=0, replicas=1, *sets):
    return Draws(config.resolve("mlp", (*SETS, *sets)), tf.constant(step, tf.int64), replica, replicas)


def test_it_falls_in_a_line_to_none():
    numbers = InstanceNoise(stddev=0.4, decay_to=10)
    found = [float(stddev(numbers, tf.constant(float(step)))) for step in (0, 1, 5, 10, 100)]
    assert found == pytest.approx([0.4, 0.36, 0.2, 0, 0])


def test_each_player_and_kind_of_image_has_a_stream_of_its_own():
    of_both = draws().for_discriminator(0), draws().for_discriminator(1), draws().for_generator(0)
    found = [noise.numpy() for each in of_both for noise in each.values()]
    assert len(found) == 5
    for noise in found:
        assert noise.shape == (8, 28, 28, 1) and noise.std() == pytest.approx(0.4, rel=0.05)
    flat = np.stack([noise.ravel() for noise in found])
    assert np.abs(np.corrcoef(flat) - np.eye(5)).max() < 0.06
    assert draws(5).for_generator(0)["fake"].numpy().std() == pytest.approx(0.2, rel=0.05)
    assert not draws(10).for_generator(0)["fake"].numpy().any()
    assert draws(0, 0, 1, "loss=rpgan").for_generator(0).keys() == {"real", "fake"}
    assert not draws(0, 0, 1, "regularizers.instance_noise.stddev=0").for_discriminator(0)


def test_a_replicas_noise_is_its_part_of_the_global_batchs():
    whole = draws(2).for_discriminator(0)
    parts = [draws(2, replica, 4).for_discriminator(0) for replica in range(4)]
    for name, noise in whole.items():
        assert np.array_equal(np.concatenate([part[name] for part in parts]), noise)


def test_the_discriminator_is_shown_noisy_images_in_both_players_updates():
    """Its losses before the first update, and the generator's after it, from the networks themselves."""
    resolved = config.resolve("mlp", (*SMALL, "optimizer.discriminator.learning_rate=1e-30", "loss=lsgan"))
    strategy = connect(Cluster(), 10)
    with strategy.scope():
        state = State(resolved)
    generator, discriminator = state.networks
    latents = randomness.noise(3, tf.constant(0, tf.int64), 8, 100)
    fake = generator(latents).numpy()
    found = fed(Stepper(resolved, strategy, state, tf.constant(IMAGES)), resolved, 40)(0, 1).metrics
    real = IMAGES[drawn(resolved, 40, 0, 1)[0]] / 127.5 - 1
    noise = draws().for_discriminator(0)
    d_real = 0.5 * (discriminator(real + noise["real"].numpy()).numpy() - 1) ** 2
    d_fake = 0.5 * discriminator(fake + noise["fake"].numpy()).numpy() ** 2
    g_fake = 0.5 * (discriminator(fake + draws().for_generator(0)["fake"].numpy()).numpy() - 1) ** 2
    assert found["d_loss_real"] == pytest.approx(d_real.mean(), rel=1e-4)
    assert found["d_loss_fake"] == pytest.approx(d_fake.mean(), rel=1e-4)
    assert found["g_loss"] == pytest.approx(g_fake.mean(), rel=1e-4)
