"""Images on their way to the devices."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from trainer import config
from trainer.data import ImageSource
from trainer.training import input_pipeline

TWO_DEVICES = """
import numpy as np, tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer import config
from trainer.training import input_pipeline
from trainer.training.state import State
from trainer.training.step import Stepper

images = np.arange(40 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(40, 28, 28, 1)
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
resolved = config.resolve("mlp", ["batch_size=8", "network.generator_units=[8]"])
with strategy.scope():
    state = State(resolved)
table = input_pipeline.on_devices(strategy, images)
copies = strategy.experimental_local_results(table)
assert all((copy.numpy() == images).all() for copy in copies)
print(*(copy.device[-5:] for copy in copies))
taken = input_pipeline.IndexStream(resolved, len(images), 0).take(2).inputs
assert Stepper(resolved, strategy, state, table)(0, 2, False, 1, taken).finite
"""


def test_each_device_has_a_copy_of_the_set_of_its_own():
    command = [sys.executable, "-c", TWO_DEVICES]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout == "CPU:0 CPU:1\n", found.stderr


class Large(ImageSource):
    """Images that say their number, and how many of them were asked for."""

    streamable = True

    def __init__(self, shape):
        super().__init__("large", 5000, shape)
        self.asked, self.read_once = 0, threading.Event()

    def read(self, ids):
        self.asked += len(ids)
        images = np.zeros((len(ids), *self.shape), np.uint8)
        images[:, 0, 0, 0] = ids % 251
        self.read_once.set()
        return images


@pytest.mark.parametrize(("edge", "channels"), [(256, 3), (64, 3), (28, 1)])
def test_what_is_read_ahead_is_bounded_in_bytes(edge, channels):
    shape = f"image.height={edge}", f"image.width={edge}", f"image.channels={channels}"
    resolved = config.resolve("mlp", ("batch_size=64", *shape))
    source = Large(resolved.image.shape)
    stream = input_pipeline.ImageStream(source, resolved, 0, 1, 0)
    batch = 64 * edge * edge * channels
    first = stream.take(1).inputs
    assert first.shape == (1, 64, *resolved.image.shape)
    while not stream._ready.full():  # until the reader has to wait
        source.read_once.clear()
        source.read_once.wait(1)
    assert stream._ready.qsize() * batch <= 128 << 20
    assert source.asked <= 64 * (stream._ready.maxsize + 2)  # one was taken, and one waits for a place
    assert stream.most_steps * batch <= 64 << 20
    again = input_pipeline.ImageStream(Large(resolved.image.shape), resolved, 0, 1, 0)
    assert (again.take(3).inputs[0] == first[0]).all()
