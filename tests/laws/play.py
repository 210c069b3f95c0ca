"""Plays combinations in one process with two logical devices: ``python -m tests.laws.play FILE``.

The file holds combinations as JSON lists of objects; of each a line of JSON says how it went.
"""

import json
import sys
import traceback
from pathlib import Path

import numpy as np
import tensorflow as tf

_DEVICES = ("/cpu:0", "/cpu:1")
_STEPS = 3


def main() -> None:
    """Two devices, then every combination."""
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    two = tf.distribute.MirroredStrategy(_DEVICES)  # one alone: a second one's collectives fail
    for case in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        try:
            said = check(case, two)
        except Exception:
            said = {"error": traceback.format_exc()}
        print(json.dumps({"case": case, **said}), flush=True)


def check(case: dict[str, str], two: tf.distribute.Strategy) -> dict[str, object]:
    """Three steps on one replica and on two, and on one with a resume after the second.

    Returns the largest difference between one and two replicas, of a line after three steps and of a first
    moment of Adam after one, and whether a resume gave the same bits.
    """
    from tests.laws.cases import resolved

    config = resolved(case)
    images = np.random.default_rng(0).integers(0, 256, (40, *config.image.shape)).astype(np.uint8)
    one = tf.distribute.OneDeviceStrategy(_DEVICES[0])
    state, run = _stepper(config, one, images)
    run(0, 1)
    first = {name: variable.numpy() for name, variable in state.variables().items()}
    line = run(1, _STEPS - 1).metrics
    values = {name: tensor.numpy() for name, tensor in state.tensors().items()}

    other, run = _stepper(config, two, images)
    run(0, 1)
    gradients = max(
        _difference(two.experimental_local_results(variable)[0].numpy(), first[name])
        for name, variable in other.variables().items()
        if name.endswith("/first_moment")
    )
    line_of_two = run(1, _STEPS - 1).metrics
    for name, variable in other.variables().items():
        here, there = two.experimental_local_results(variable)
        assert here.numpy().tobytes() == there.numpy().tobytes(), f"{name} differs between replicas"

    begun, run = _stepper(config, one, images)
    run(0, _STEPS - 1)
    kept = {name: tensor.numpy() for name, tensor in begun.tensors().items()}
    again, run = _stepper(config, one, images)
    again.assign(kept)
    run(_STEPS - 1, 1)
    resumed = all(
        tensor.numpy().tobytes() == values[name].tobytes() for name, tensor in again.tensors().items()
    )
    return {
        "line": max(abs(line_of_two[name] - value) / max(1.0, abs(value)) for name, value in line.items()),
        "gradients": gradients,
        "resumed": resumed,
        "finite": all(np.isfinite(value) for value in line.values()),
    }


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two tensors, as a share of the largest entry, or of 0.01."""
    return float(np.abs(one - other).max() / max(0.01, np.abs(other).max()))


def _stepper(config, strategy, images):
    from tests.support.steps import fed
    from trainer.training import distribution, input_pipeline
    from trainer.training.state import State
    from trainer.training.step import Stepper

    distribution.set_fusion(config)
    with strategy.scope():
        state = State(config)
    stepper = Stepper(config, strategy, state, input_pipeline.on_devices(strategy, images))
    return state, fed(stepper, config, len(images))


if __name__ == "__main__":
    main()
