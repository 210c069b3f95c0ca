"""Runs that are made to collapse, each found by the condition that it should be: docs/health.md has them."""

import json

import numpy as np
import pytest

from tests.support.runs import TINY, run_here
from trainer.errors import Collapsed
from trainer.run import checkpoints, layout
from trainer.storage import open_store

STOP = ("health.on_collapse=stop", "xla=off")


def condition_of(root):
    result = json.loads(open_store(str(root / "e" / "run")).read(layout.RESULT))
    return result["state"], result["conditions"][0]["name"], result["steps"]


def test_a_learning_rate_250_times_too_high(tmp_path):
    with pytest.raises(Collapsed, match="the losses have exploded since step 0: D loss"):
        run_here(tmp_path, *STOP, "optimizer.learning_rate=0.05", "steps=300", sets=())
    assert condition_of(tmp_path) == ("collapsed", "losses_exploded", 100)


def test_a_generator_whose_last_layers_are_cut_to_one_mode(tmp_path):
    """Nothing but the last bias is left of it, by which all its images are one."""
    healthy = ("optimizer.learning_rate=0.05", "metrics.every_steps=10", "samples.every_steps=20",
               "checkpoints.every_steps=20", "health.window_steps=30", *STOP)  # fmt: skip
    assert run_here(tmp_path, *healthy, "steps=40", sets=TINY) == 0
    store = open_store(str(tmp_path / "e" / "run"))
    values = checkpoints.read(store, 40).values
    cut = {
        name: np.zeros_like(value) if "generator/" in name and value.ndim else value
        for name, value in values.items()
    }
    checkpoints.save(store, 40, cut)
    with pytest.raises(Collapsed, match=r"G has collapsed since step 40: the spread .* is 0\.000 of real"):
        run_here(tmp_path, *healthy, "steps=300", sets=TINY)
    state, name, step = condition_of(tmp_path)
    assert (state, name) == ("collapsed", "collapse") and step == 100
