"""Images on their way to the devices."""

import subprocess
import sys

TWO_DEVICES = """
import numpy as np, tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer import config, feed
from trainer.step import Feed, State, Stepper

images = np.arange(40 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(40, 28, 28, 1)
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
resolved = config.resolve("mlp", ["batch_size=8", "network.generator_units=[8]"])
with strategy.scope():
    state = State(resolved)
table = feed.on_devices(strategy, images)
copies = strategy.experimental_local_results(table)
assert all((copy.numpy() == images).all() for copy in copies)
print(*(copy.device[-5:] for copy in copies))
outcome = Stepper(resolved, strategy, state, Feed(table, len(images)))(0, 2, False, 1)
assert outcome.bad_step is None
"""


def test_each_device_has_a_copy_of_the_set_of_its_own():
    command = [sys.executable, "-c", TWO_DEVICES]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout == "CPU:0 CPU:1\n", found.stderr
