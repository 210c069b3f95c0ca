"""Each loss against its paper's formula, written again in NumPy, and its gradient against differences."""

from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import losses
from trainer.config import proposals, resolve


def log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


# The formulas of the papers: what the discriminator and the generator minimise, for scores of a pair.
PAPERS = {
    # -1/2 (log D(x) + log(1 - D(G(z)))); -log D(G(z))
    "bce": (lambda r, f: -(log_sigmoid(r) + log_sigmoid(-f)) / 2, lambda r, f: -log_sigmoid(f)),
    # the same; log(1 - D(G(z)))
    "minimax": (lambda r, f: -(log_sigmoid(r) + log_sigmoid(-f)) / 2, lambda r, f: log_sigmoid(-f)),
    # 1/2 (D(x) - b)^2 + 1/2 (D(G(z)) - a)^2; 1/2 (D(G(z)) - c)^2, a = 0, b = c = 1
    "lsgan": (lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda r, f: (f - 1) ** 2 / 2),
    # D(G(z)) - D(x); -D(G(z))
    "wasserstein": (lambda r, f: f - r, lambda r, f: -f),
    # -min(0, -1 + D(x)) - min(0, -1 - D(G(z))); -D(G(z))
    "hinge": (lambda r, f: -np.minimum(0, r - 1) - np.minimum(0, -1 - f), lambda r, f: -f),
    # log(1 + exp(-(D(x) - D(G(z))))); log(1 + exp(-(D(G(z)) - D(x))))
    "rpgan": (lambda r, f: np.logaddexp(0, -(r - f)), lambda r, f: np.logaddexp(0, -(f - r))),
}
fewer = settings(max_examples=25)
scores = st.lists(st.tuples(*2 * [st.floats(-30, 30, width=32)]), min_size=1, max_size=8)


def test_every_loss_is_checked_and_in_the_table():
    assert set(PAPERS) == set(losses.LOSSES) == set(get_args(losses.Name))


@pytest.mark.parametrize("name", PAPERS)
@fewer
@given(pairs=scores)
def test_a_loss_is_its_papers(name, pairs):
    real, fake = np.array(pairs, np.float32).T
    loss = losses.load(name)
    for found, paper in zip((loss.discriminator, loss.generator), PAPERS[name], strict=True):
        value = found(tf.constant(real), tf.constant(fake))
        assert value.shape == (len(pairs),)
        expected = paper(real.astype(np.float64), fake.astype(np.float64))
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PAPERS)
@fewer
@given(pairs=scores)
def test_a_gradient_is_the_formulas_slope(name, pairs):
    pairs = [pair for pair in pairs if min(abs(abs(score) - 1) for score in pair) > 0.01]  # hinge has a kink
    real, fake = np.array(pairs or [(0.0, 0.0)], np.float64).T
    loss = losses.load(name)
    for found, paper in zip((loss.discriminator, loss.generator), PAPERS[name], strict=True):
        inputs = tf.constant(real), tf.constant(fake)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(found(*inputs))
        slopes = tape.gradient(total, inputs, unconnected_gradients="zero")
        by = 1e-4
        differences = (paper(real + by, fake) - paper(real - by, fake)) / (2 * by)
        np.testing.assert_allclose(slopes[0], differences, rtol=1e-4, atol=1e-6)
        differences = (paper(real, fake + by) - paper(real, fake - by)) / (2 * by)
        np.testing.assert_allclose(slopes[1], differences, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", PAPERS)
@fewer
@given(score=st.floats(-(2.0**99), 2.0**99, width=32))
def test_no_finite_score_gives_what_is_not_finite_but_a_square(name, score):
    if name == "lsgan":
        score = float(np.clip(score, -1e18, 1e18))
    loss, pair = losses.load(name), (tf.constant([score], tf.float32), tf.constant([-score], tf.float32))
    assert np.isfinite(loss.discriminator(*pair)).all() and np.isfinite(loss.generator(*pair)).all()


@pytest.mark.parametrize("name", PAPERS)
def test_a_relative_loss_alone_looks_at_real_scores_for_the_generator(name):
    loss, fake = losses.load(name), tf.constant([0.5])
    differs = loss.generator(tf.constant([2.0]), fake) != loss.generator(tf.constant([-2.0]), fake)
    assert bool(tf.reduce_any(differs)) == losses.LOSSES[name].relative


@pytest.mark.parametrize("name", PAPERS)
def test_the_middle_of_a_loss_is_where_the_better_verdict_changes(name):
    """Above it the discriminator's loss on a real image is smaller than on a generated one."""
    loss, middle = losses.load(name), losses.LOSSES[name].middle
    if middle is None:
        return
    above, below = (np.array([middle + by], np.float32) for by in (0.1, -0.1))
    on_real, on_fake = loss.parts(above, above)
    assert on_real < on_fake
    on_real, on_fake = loss.parts(below, below)
    assert on_real > on_fake


@pytest.mark.parametrize("name", [name for name, about in losses.LOSSES.items() if about.logistic])
def test_the_gamma_that_is_proposed_is_halved_where_the_loss_is(name):
    [r1] = [each for each in proposals(resolve("mlp", [f"loss={name}"])) if each.part == "r1"]
    half = 2 if losses.load(name).weight == 0.5 else 1
    assert float(r1.values["regularizers.r1.weight"]) == pytest.approx(0.0002 * 784 / 64 / half, rel=0.05)
