"""Waiting for what other processes do."""

import time

PATIENCE_SECONDS = 240.0  # for what takes well under a second, or half a minute where TensorFlow starts


def wait_until(condition, what="it", every_seconds=0.02):
    """Poll until a condition holds; the bound is far beyond what it ever takes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(every_seconds)
    return found
