"""Each penalty against its paper's formula, written again in NumPy, and its gradient against differences."""

import numpy as np
import pytest
import tensorflow as tf

from trainer import regularizers
from trainer.regularizers import REGULARIZERS, Regularizers, penalties

RNG = np.random.default_rng(0)
SHAPE = (4, 3, 3, 2)
REAL, FAKE, NOISE = (RNG.standard_normal(SHAPE) for _ in range(3))
SHARE = RNG.random(4)
KERNEL = RNG.standard_normal((18, 5)) / 3


def scores(images, kernel=KERNEL):
    """D(x) = sum tanh(W x), whose gradient is W (1 - tanh^2(W x))."""
    return np.tanh(images.reshape(4, -1) @ kernel).sum(axis=1)


def gradient(images, kernel=KERNEL):
    return (1 - np.tanh(images.reshape(4, -1) @ kernel) ** 2) @ kernel.T


def squared(images, kernel=KERNEL):
    return (gradient(images, kernel) ** 2).sum(axis=1)


def between(kernel):
    share = SHARE.reshape(4, 1, 1, 1)
    return np.sqrt(squared(share * REAL + (1 - share) * FAKE, kernel))


def smoothed(score, alpha):
    return (1 - alpha) * np.logaddexp(0, -score) + alpha * np.logaddexp(0, score)


# The papers' formulas: with gamma, lambda or a weight of 1.5, for the kernel of D.
PAPERS = {
    "r1": ({}, lambda kernel: 1.5 / 2 * squared(REAL, kernel)),
    "r2": ({}, lambda kernel: 1.5 / 2 * squared(FAKE, kernel)),
    "noise_r1": (
        {"sigma": 0.01},
        lambda kernel: 1.5 * ((scores(REAL + 0.01 * NOISE, kernel) - scores(REAL, kernel)) / 0.01) ** 2,
    ),
    "noise_r2": (
        {"sigma": 0.01},
        lambda kernel: 1.5 * ((scores(FAKE + 0.01 * NOISE, kernel) - scores(FAKE, kernel)) / 0.01) ** 2,
    ),
    "gradient_penalty": ({}, lambda kernel: 1.5 * (between(kernel) - 1) ** 2),
    # (1 - a) log(1 + e^-x) + a log(1 + e^x), less what it is without a; D's loss has half of it.
    "label_smoothing": (
        {"weight": 0.1},
        lambda kernel: (smoothed(scores(REAL, kernel), 0.1) - smoothed(scores(REAL, kernel), 0)) / 2,
    ),
    "logit_centering": ({}, lambda kernel: 1.5 * (scores(REAL, kernel) + scores(FAKE, kernel)) ** 2),
}


class Game:
    """D(x) = sum tanh(W x) in doubles, so that differences tell a slope."""

    def __init__(self):
        self.kernel = tf.constant(KERNEL)
        self.real, self.fake = tf.constant(REAL), tf.constant(FAKE)

    @property
    def real_scores(self):
        return self.scores(self.real)

    @property
    def fake_scores(self):
        return self.scores(self.fake)

    def scores(self, images):
        return tf.reduce_sum(tf.tanh(tf.reshape(images, (4, 18)) @ self.kernel), axis=1)

    def noise(self, name):
        return tf.constant(SHARE if REGULARIZERS[name].noise == () else NOISE)


def of(name, **more):
    return getattr(Regularizers.model_validate({name: {"weight": 1.5, **PAPERS[name][0], **more}}), name)


def test_every_penalty_is_checked_and_in_the_table():
    others = {name for name, about in REGULARIZERS.items() if not about.of_loss}
    assert {*PAPERS, *others} == set(REGULARIZERS) == set(Regularizers.model_fields)
    assert others == {"weight_clipping", "instance_noise"}


@pytest.mark.parametrize("name", PAPERS)
def test_a_penalty_is_its_papers(name):
    found = regularizers.penalty(name, of(name), Game())
    np.testing.assert_allclose(found, PAPERS[name][1](KERNEL), rtol=1e-6)


@pytest.mark.parametrize("name", PAPERS)
def test_a_penaltys_gradient_is_the_formulas_slope(name):
    """With respect to the discriminator's weights, through the gradient that it is made of."""
    game = Game()
    with tf.GradientTape() as tape:
        tape.watch(game.kernel)
        total = tf.reduce_sum(regularizers.penalty(name, of(name), game))
    slopes = tape.gradient(total, game.kernel).numpy()
    for place in ((0, 0), (7, 3), (17, 4)):
        by = np.zeros_like(KERNEL)
        by[place] = 1e-6
        difference = (PAPERS[name][1](KERNEL + by) - PAPERS[name][1](KERNEL - by)).sum() / 2e-6
        assert slopes[place] == pytest.approx(difference, rel=1e-4)


def test_a_one_sided_penalty_leaves_small_gradients_alone():
    excess = np.maximum(between(KERNEL) - 1, 0)
    assert (excess == 0).any() and (excess > 0).any()
    found = regularizers.penalty("gradient_penalty", of("gradient_penalty", one_sided=True), Game())
    np.testing.assert_allclose(found, 1.5 * excess**2, atol=1e-9)


def test_a_gradient_of_nothing_has_a_finite_penalty_and_slope():
    game = Game()
    with tf.GradientTape() as tape:
        game.kernel = tf.zeros_like(game.kernel)
        tape.watch(game.kernel)
        total = tf.reduce_sum(regularizers.penalty("gradient_penalty", of("gradient_penalty"), game))
    assert np.isfinite(tape.gradient(total, game.kernel)).all()


def test_the_penalty_by_noise_tends_to_the_exact_one():
    """Its mean over the noise, of weight gamma / 2, as sigma falls."""
    noise = tf.constant(np.random.default_rng(1).standard_normal((4000, 4, 18)))
    flat, sigma = tf.constant(REAL.reshape(4, 18)), 1e-3
    moved = tf.reduce_sum(tf.tanh((flat + sigma * noise) @ KERNEL), axis=2)
    found = tf.reduce_mean(tf.square((moved - scores(REAL)) / sigma), axis=0)
    np.testing.assert_allclose(found, squared(REAL), rtol=0.1)


def test_those_of_weight_0_are_off():
    assert penalties(Regularizers()) == ()
    on = Regularizers.model_validate({"r2": {"weight": 1}, "weight_clipping": {"limit": 0.1}})
    assert penalties(on) == ("r2",) and regularizers.chosen(on) == ("r2", "weight_clipping")
