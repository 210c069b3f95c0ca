"""A group with TensorFlow in its own process: the devices, their matrix products, and the trainer's steps."""

import gc
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bench.gantry_loop import Loop, build
from bench.on_gpu.group import NO_ROOM, Figures, Hopeless, NotMeasured, rounds_of, serve
from bench.on_gpu.peaks import peak_of
from bench.rounds import spread
from trainer.config import RunConfig, resolve
from trainer.environment.tf_config import Cluster
from trainer.networks.sizes import sizes
from trainer.training import distribution
from trainer.training.state import State
from trainer.training.step import Stepper

_ROUNDS = 5
_MIB = 2**20
_OF_LIBRARIES = re.compile(r"dlopen|dlerror|could not load|cuda drivers|cuInit|CUDA_ERROR", re.IGNORECASE)
_SAID_LINES = 6


def devices(toy: bool) -> Figures:
    """Versions, cards and the driver.

    Raises:
        Hopeless: TensorFlow lists no GPU, and this is no toy.
    """
    cards = [tf.config.experimental.get_device_details(gpu) for gpu in _gpus()]
    if not cards and not toy:
        said = _said_of_libraries()
        raise Hopeless(f"TensorFlow {tf.__version__} lists no GPU here, expected one (or --toy); {said}")
    built = tf.sysconfig.get_build_info()
    found = {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "built_for_cuda": built.get("cuda_version"),
        "built_for_cudnn": built.get("cudnn_version"),
    }
    if not cards:
        return {**found, "needs_gpu": ["cards", "driver"]}
    names = [f"{card.get('device_name')}, compute {card.get('compute_capability')}" for card in cards]
    return {**found, "cards": names, "driver": _driver()}


def products(side: int, seconds: float) -> Figures:
    """TFLOP/s of one large matrix product after the other: what the steps can be held to on any card."""
    found = {}
    for name, kind, short in (
        ("float32", tf.float32, False),
        ("tensorfloat32", tf.float32, True),
        ("bfloat16", tf.bfloat16, True),
    ):
        tf.config.experimental.enable_tensor_float_32_execution(short)
        took = spread(rounds_of(_chain(side, kind), seconds / 3, _ROUNDS))
        found[f"{name}_tflops"] = _digits(2 * side**3 / took.middle / 1e12)
    tf.config.experimental.enable_tensor_float_32_execution(True)
    if not _gpus():
        found["needs_gpu"] = ["tensorfloat32_tflops"]
        del found["tensorfloat32_tflops"]
    return found


def step(preset: str, sets: Sequence[str], xla: bool, seconds: float) -> Figures:
    """A preset's step as a run takes it: milliseconds, images/s, its products' TFLOP/s, memory.

    `xla`: off is the trainer's own ``xla=off``; on compiles the step whole, for networks with
    BatchNormalization too, which the trainer does not.
    """
    config = resolve(preset, [*sets, f"xla={'auto' if xla else 'off'}"])
    keras.backend.clear_session()
    gc.collect()
    before = _begin_memory()
    try:
        start = time.perf_counter()
        loop = _loop(config, xla)
        loop(1)
        first = time.perf_counter() - start
        took = spread([1e3 * one for one in rounds_of(loop, seconds, _ROUNDS)])
        loop.close()
    except tf.errors.ResourceExhaustedError as error:
        raise NotMeasured(NO_ROOM, distribution.first_line(error)) from None
    rate = config.batch_size / took.middle * 1e3
    teraflops = rate * sizes(config).flop_per_image / 1e12
    return {
        "batch": config.batch_size,
        "ms_a_step": took.text(3),
        "images_per_second": round(rate),
        "products_tflops": _digits(teraflops),
        "first_step_seconds": round(first, 1),
        **_on_card(teraflops, before),
    }


def _loop(config: RunConfig, xla: bool) -> Loop:
    strategy = distribution.connect(Cluster(), config.recovery.heartbeat_seconds)
    stepper, state, images = build(config, strategy)
    if xla:
        compile_whole(stepper, state)
    return Loop(config, stepper, images)


def compile_whole(stepper: Stepper, state: State) -> None:
    """Have XLA compile the step where the trainer does not; it was not traced yet."""
    if state.networks.batch_dependent:
        stepper._play = tf.function(stepper._play_game, jit_compile=True, autograph=False)


def _on_card(teraflops: float, before: int) -> Figures:
    """Share of what the card can do by its data sheet; its memory's peak in MiB beyond `before` bytes."""
    gpus = _gpus()
    if not gpus:
        return {"needs_gpu": ["memory_mib", "share_of_peak"]}
    card = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "")
    peak, memory = peak_of(card), tf.config.experimental.get_memory_info("GPU:0")["peak"] - before
    # What TensorFlow multiplies with by itself.
    most = (peak.tensorfloat32 or peak.float32) if peak else 0
    share = f"{teraflops / most:.2%} of {most:g} TFLOP/s" if most else f"unknown card {card}"
    return {"memory_mib": round(memory / _MIB), "share_of_peak": share}


def _begin_memory() -> int:
    """Bytes of the first GPU that are taken now, from which on its peak counts; 0 without one."""
    if not _gpus():
        return 0
    tf.config.experimental.reset_memory_stats("GPU:0")
    return int(tf.config.experimental.get_memory_info("GPU:0")["current"])


def _chain(side: int, kind: tf.DType) -> Callable[[int], object]:
    """Products that each wait for the one before; the factor keeps entries near 1."""
    left = tf.cast(tf.random.normal((side, side)), kind)
    right = tf.cast(tf.random.normal((side, side)) / side**0.5, kind)

    @tf.function(autograph=False)
    def multiply(count: tf.Tensor) -> tf.Tensor:
        start = (tf.constant(0), left)
        last = tf.while_loop(lambda n, _: n < count, lambda n, x: (n + 1, tf.matmul(x, right)), start)
        return last[1][0, 0]

    return lambda count: multiply(tf.constant(count)).numpy()


def _gpus() -> list[tf.config.PhysicalDevice]:
    return tf.config.list_physical_devices("GPU")


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
    if not shutil.which(command[0]):
        return "no nvidia-smi"
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return " ".join((told.stdout or told.stderr).split())


def _said_of_libraries() -> str:
    """What TensorFlow said, on stderr, which is a file of the referee's, of libraries it could not open."""
    log = Path("/proc/self/fd/2")
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    found = dict.fromkeys(line.strip() for line in lines if _OF_LIBRARIES.search(line))
    return " ".join([*found][-_SAID_LINES:]) or "it says of no library that it misses it"


def _digits(value: float) -> float:
    """Three digits that count."""
    return float(f"{value:.3g}")


if __name__ == "__main__":
    serve({"devices": devices, "products": products, "step": step})
