"""The same run on one replica and on two, in one process with two logical devices."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import numpy as np, tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.support.steps import fed
from trainer import config
from trainer.training import input_pipeline
from trainer.training.state import State
from trainer.training.step import Stepper

images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1)).astype(np.uint8)
resolved = config.resolve(sys.argv[1], ["batch_size=8", "xla=off", *sys.argv[2:]])
found, two = [], ["/cpu:0", "/cpu:1"]
for strategy in (tf.distribute.OneDeviceStrategy(two[0]), tf.distribute.MirroredStrategy(two)):
    with strategy.scope():
        state = State(resolved)
    stepper = Stepper(resolved, strategy, state, input_pipeline.on_devices(strategy, images))
    metrics = fed(stepper, resolved, len(images))(0, 3).metrics
    variables = [strategy.experimental_local_results(each) for each in state.variables().values()]
    for value, *others in variables:
        assert all((other.numpy() == value.numpy()).all() for other in others)
    found.append((metrics, {name: each[0].numpy() for name, each in zip(state.variables(), variables)}))
(metrics, values), (others, again) = found
for name, value in metrics.items():
    np.testing.assert_allclose(others[name], value, rtol=1e-4, err_msg=name)
for name, value in values.items():
    # Adam steps by its rate whatever the gradient: what rounding makes of a tiny one may show.
    np.testing.assert_allclose(again[name], value, rtol=1e-3, atol=2e-5, err_msg=name)
"""


@pytest.mark.parametrize(
    "sets",
    [
        ("mlp", "network.generator_units=[16]", "network.discriminator_units=[16]"),
        ("dcgan", "network.generator_filters=[8,4]", "network.discriminator_filters=[4,8]"),
    ],
    ids=lambda sets: sets[0],
)
def test_three_steps_on_two_replicas_are_those_on_one(sets):
    found = subprocess.run([sys.executable, "-c", SCRIPT, *sets], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-3000:]
