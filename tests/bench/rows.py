"""A group of `bench.on_gpu` whose rows end in every way: ``python -m tests.bench.rows '[…]'``."""

import os
import signal
import time

from bench.on_gpu.group import NOT_THERE, Figures, Hopeless, NotMeasured, serve


def good(value: int) -> Figures:
    return {"value": value}


def raises() -> Figures:
    raise ValueError("no\nsuch thing")


def partly() -> Figures:
    return {"half": 1, "failed": "the other half"}


def absent() -> Figures:
    raise NotMeasured(NOT_THERE, "nobody has built it")


def hopeless() -> Figures:
    raise Hopeless("there is no device")


def dies() -> Figures:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def hangs() -> Figures:
    time.sleep(3600)
    return {}


if __name__ == "__main__":
    serve({task.__name__: task for task in (good, raises, partly, absent, hopeless, dies, hangs)})
