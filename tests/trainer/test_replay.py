"""A run that diverges names the first bad step and tensor, though no step looks for them."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.runs import TINY, run_here
from tests.support.teams import SMALL, WILD, Team
from trainer import config, losses
from trainer.errors import Diverged
from trainer.optimizers.adam import Adam
from trainer.run import checkpoints
from trainer.storage import open_store
from trainer.training import replay
from trainer.training.state import State, trainable_names

LONG_CALLS = ("metrics.every_steps=30", "checkpoints.every_steps=30", "samples.every_steps=30", "steps=60")
RESOLVED = config.resolve("mlp", (*TINY, *LONG_CALLS))


@pytest.fixture(scope="module")
def names():
    """Of the trainable variables, in the order in which a step updates them."""
    networks = State(RESOLVED).networks
    return [*trainable_names(networks.discriminator), *trainable_names(networks.generator)]


def plant(monkeypatch, number, step, value):
    """Have one entry of a variable's gradient be `value` in that step (from 1), whenever it is taken."""
    plain, created = Adam.apply, []

    def apply(self, gradients, time, step_before):
        if self not in created:
            created.append(self)  # the discriminator's is asked first
        own = number - sum(len(each.first) for each in created[: created.index(self)])
        gradients = list(gradients)
        if 0 <= own < len(gradients):
            flat = tf.reshape(gradients[own], [-1])
            last = tf.range(tf.size(flat)) == tf.size(flat) - 1
            flat = tf.where(tf.logical_and(last, tf.equal(time, float(step))), value, flat)
            gradients[own] = tf.reshape(flat, gradients[own].shape)
        plain(self, gradients, time, step_before)

    monkeypatch.setattr(Adam, "apply", apply)


@settings(max_examples=3)
@given(data=st.data())
def test_a_gradient_that_is_not_finite_is_named_with_its_step(data, names, tmp_path_factory):
    number, step = data.draw(st.integers(0, len(names) - 1)), data.draw(st.integers(1, 60))
    value = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    beta1 = data.draw(st.sampled_from([0.0, 0.5]))
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Diverged) as failure:
        plant(patch, number, step, value)
        run_here(root, *LONG_CALLS, f"optimizer.beta1={beta1}")
    assert str(failure.value).startswith(f"step {step}: gradient of {names[number]} is NaN or Inf; ")
    store = open_store(str(root / "e" / "run"))
    saved = checkpoints.complete_steps(store)
    assert saved == ([30] if step > 30 else [])  # nothing bad is kept
    for each in saved:
        assert all(np.isfinite(value).all() for value in checkpoints.read(store, each).values.values())
    assert json.loads(store.read("status.json"))["message"] == str(failure.value)


def test_after_a_resume_and_with_streamed_images_too(names, tmp_path, digits_shards, monkeypatch):
    streamed = (f"data.source=tfrecord:{digits_shards}", "data.placement=stream")
    assert run_here(tmp_path, *LONG_CALLS, *streamed, "steps=30") == 0
    plant(monkeypatch, 3, 47, np.nan)
    with pytest.raises(Diverged, match=f"^step 47: gradient of {names[3]} is NaN or Inf; .*checkpoints/30/"):
        run_here(tmp_path, *LONG_CALLS, *streamed)


def test_a_loss_that_is_not_finite_is_named(monkeypatch, tmp_path):
    plain = losses.load("bce")

    def overflowing(real, fake):
        """What is finite in the gradient and not in the sum."""
        return plain.generator(real, fake) + tf.stop_gradient(3e38 + 0 * fake)

    monkeypatch.setattr(losses, "load", lambda name: replace(plain, generator=overflowing))
    with pytest.raises(Diverged, match=r"^step 1: g_loss is NaN or Inf; "):
        run_here(tmp_path, *LONG_CALLS)


def test_the_copy_that_is_played_from_is_a_few_calls_old(monkeypatch, tmp_path, names):
    monkeypatch.setattr(replay, "_CALLS", 2)
    begun = []
    kept = replay.LastGood.diverged
    monkeypatch.setattr(
        replay.LastGood, "diverged", lambda self, *args: begun.append(self.step) or kept(self, *args)
    )
    plant(monkeypatch, 0, 51, np.nan)
    with pytest.raises(Diverged, match=f"^step 51: gradient of {names[0]} "):
        run_here(tmp_path, *LONG_CALLS, "metrics.every_steps=5")
    assert 40 <= begun[0] <= 50  # calls end every 5 steps


def test_what_does_not_come_again_is_said_to_be_the_machines(monkeypatch, tmp_path):
    plain, planted = checkpoints.snapshot, []

    def flip(tensors):
        if not planted:  # a bit, while the first call waits
            planted.append(True)
            kept = plain(tensors)
            tensors["generator/hidden_1/bias"].assign(tf.fill((16,), np.inf))
            return kept
        return plain(tensors)

    monkeypatch.setattr(replay.checkpoints, "snapshot", flip)
    with pytest.raises(Diverged, match=r"is NaN or Inf; played again from step 0 it is not, .*memory or"):
        run_here(tmp_path, *LONG_CALLS)


def test_two_workers_find_the_same_step_and_tensor(tmp_path):
    """Each plays its part again, from its own copy of a few calls before."""
    sets = (*SMALL, *WILD, "metrics.every_steps=20", "metrics.print_every_steps=20")
    with Team(str(tmp_path), "wild", tmp_path / "logs", workers=2, sets=sets) as team:
        codes = team.wait()
    said = [re.findall(r"step \d+: \S.*? is NaN or Inf", log.read_text()) for log in team.logs]
    assert codes == [1, 1], team.log()
    assert said[0] and said[0][0] == said[1][0], team.log()
    found = checkpoints.newest(open_store(str(tmp_path / "e" / "wild")), print)
    if found:
        assert all(np.isfinite(value).all() for value in found.values.values())
