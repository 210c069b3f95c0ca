"""Rates of each player, their schedules, clipping, and averages, against their formulas in NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer import config
from trainer.config.optimizer import Optimizer, Schedule
from trainer.optimizers.adam import Adam, factor
from trainer.optimizers.average import Average


def at(schedule, step):
    return float(factor(schedule, tf.constant(float(step))))


@given(st.integers(0, 500), st.integers(1, 500), st.integers(0, 1500), st.floats(0, 0.9))
def test_a_rate_falls_in_a_line_or_as_half_a_cosine(begin, span, step, final):
    gone = min(1.0, max(0.0, (step - begin) / span))
    numbers = {"decay_from": begin, "decay_to": begin + span, "final": final}
    line = at(Schedule(kind="linear", **numbers), step)
    assert line == pytest.approx(1 - (1 - final) * gone, abs=1e-5)
    cosine = at(Schedule(kind="cosine", **numbers), step)
    assert cosine == pytest.approx(final + (1 - final) * (1 + math.cos(math.pi * gone)) / 2, abs=1e-5)


def test_a_rate_warms_up_to_its_height_and_stays():
    schedule = Schedule(warm_up_steps=4)
    assert [at(schedule, step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert Schedule().is_constant and not schedule.is_constant


def test_a_player_has_its_own_rates_and_the_others_common_ones():
    own = {"learning_rate": 1e-4, "beta1": 0, "clip_norm": 0}
    optimizer = Optimizer.model_validate({"learning_rate": 1e-3, "clip_norm": 2, "generator": own})
    assert optimizer.of("generator")[:5] == (1e-4, 0, 0.999, 1e-7, 0)
    assert optimizer.of("discriminator")[:5] == (1e-3, 0.5, 0.999, 1e-7, 2)


def test_one_update_is_adams_with_the_gradients_norm_held():
    rates = Optimizer(learning_rate=0.1, clip_norm=1.0, schedule=Schedule(warm_up_steps=2)).of("generator")
    variables = [tf.Variable([1.0, 2.0]), tf.Variable([3.0])]
    gradients = [tf.constant([3.0, 0.0]), tf.constant([4.0])]  # a norm of 5
    adam = Adam(rates, variables)
    adam.apply(gradients, tf.constant(1.0), tf.constant(0.0))
    for slot, gradient in zip(adam.first, gradients, strict=True):
        np.testing.assert_allclose(slot, 0.5 * gradient / 5, rtol=1e-6)
    # The first step of Adam is the rate, of which half is there after one of two steps of warm-up.
    np.testing.assert_allclose(variables[0], [0.95, 2.0], rtol=1e-5)
    np.testing.assert_allclose(variables[1], [2.95], rtol=1e-5)


@pytest.mark.parametrize(("half_life", "ramp_up"), [(40, 0.0), (40, 0.05), (1000, 0.05)])
def test_an_average_is_the_formulas(half_life, ramp_up):
    sets = (f"averaging.half_life_images={half_life}", f"averaging.ramp_up={ramp_up}", "batch_size=8")
    resolved = config.resolve("mlp", sets)
    weight = tf.Variable([0.0])
    average, expected = Average(resolved, [weight]), 0.0
    for step in range(20):
        weight.assign([float(step + 1)])
        average.update(tf.constant(float(step)))
        life = min(half_life, (step + 1) * 8 * ramp_up) if ramp_up else half_life
        share = 0.5 ** (8 / life)
        expected = share * expected + (1 - share) * (step + 1)
        np.testing.assert_allclose(average.variables[0], [expected], rtol=1e-4)
