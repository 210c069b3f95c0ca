"""Training inside the test's own process: quick, for whatever needs neither peers nor a kill."""

import signal
from contextlib import contextmanager

from trainer import config
from trainer.environment.tf_config import Cluster
from trainer.run import layout
from trainer.sampling import origin
from trainer.sampling.drawing import Request
from trainer.training.train import Options, train

TINY = (
    "network.generator_units=[16]",
    "network.discriminator_units=[16]",
    "steps=12",
    "batch_size=8",
    "checkpoints.every_steps=4",
    "samples.every_steps=6",
    "metrics.every_steps=2",
    "xla=off",
)


@contextmanager
def _handlers_restored():
    """Training takes SIGTERM and SIGINT for itself; give them back to pytest."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_here(root, *overrides, run="run", preset="mlp", sets=TINY, fresh=False, **more):
    """Train in this process, alone; returns the exit code."""
    given = (*sets, *overrides)
    options = Options(layout.run_path(str(root), "e", run), preset, given, fresh, **more)
    with _handlers_restored():
        return train(config.resolve(preset, given), options, Cluster())


def drawn(store, request=None, step=None):
    """Images that `trainer sample` would draw from what lies in a store."""
    from trainer.sampling.generate import generate

    return generate(origin.find(store.url, step), request or Request()).images
