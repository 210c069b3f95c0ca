"""A group of contestants: PyTorch's and JAX' steps beside ours, and two of ours at once.

Each is a process of its own. They take turns in rounds, as in `bench`. A contestant that several rows want is
started once.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.contestant import ROOT, Contestant, ContestantFailed, usable_cpus
from bench.contestant import Group as Together
from bench.on_gpu.group import Figures, serve, steps_in
from bench.rounds import Spread, Turn, play, ratios, spread
from trainer.config import RunConfig, resolve

_ROUNDS = 5
_CALL = 50  # steps in one call, as lie between two lines of metrics of the preset `mlp`
# The presets that there are in each, and what it has to have.
_WRITTEN = {"PyTorch": (("mlp", "dcgan64"), ("torch",)), "JAX": (("mlp",), ("jax", "optax"))}
_SHARED_MEMORY = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

_ready: dict[tuple[object, ...], Contestant] = {}


def beside(
    preset: str, sets: Sequence[str], seconds: float, scratch: str, torch: str, jax: str, call: int = _CALL
) -> Figures:
    """The same GAN's steps in turns: ours, PyTorch's and JAX', where these are written and installed.

    `torch`, `jax`: the Pythons that may have them. `call`: steps of one call in JAX.
    """
    config = resolve(preset, sets)
    images, missing = _images(config, Path(scratch)), {}
    found = {"Gantry": _start("Gantry", preset, sets)}
    for name, python in (("PyTorch", torch), ("JAX", jax)):
        presets, modules = _WRITTEN[name]
        if preset not in presets:
            missing[name] = "not written"
        elif not _installed(python, modules):
            missing[name] = "not installed"
        else:
            found[name] = _start_other(name, python, preset, config.batch_size, images, call)
    alive, broken = _wait(found)
    times = _play({name: Together([it]) for name, it in alive.items()}, seconds, call)
    figures: Figures = {"batch": config.batch_size, **missing}
    for name, took in times.items():
        figures[name] = _speed(took, config.batch_size)
        if device := alive[name].about.get("device"):
            figures[name] += f" on {device}, version {alive[name].about['version']}"
        if name != "Gantry" and "Gantry" in times:
            figures[f"Gantry_against_{name}"] = ratios(took, times["Gantry"]).text()
    return {**figures, **({"failed": broken} if broken else {})}


def sharing(preset: str, sets: Sequence[str], seconds: float, call: int = _CALL) -> Figures:
    """Two runs on one device at once, against one by itself: what both train a second, over what one does."""
    config = resolve(preset, sets)
    pair = [_start("Gantry", preset, sets, number) for number in (0, 1)]
    alive, broken = _wait({str(number): it for number, it in enumerate(pair)})
    if broken:
        return {"failed": broken}
    times = _play({"alone": Together(pair[:1]), "both": Together([*alive.values()])}, seconds, call)
    gain = ratios(times["alone"], times["both"], 2)
    return {
        "batch": config.batch_size,
        "alone": _speed(times["alone"], config.batch_size),
        "each_of_two": _speed(times["both"], config.batch_size),
        "both_against_one": gain.text(),
    }


def _play(groups: Mapping[str, Together], seconds: float, call: int) -> dict[str, list[float]]:
    """Rounds in which each has its share of the seconds; seconds of one step."""
    share = seconds / _ROUNDS / max(1, len(groups))
    turns = {name: Turn(it, steps_in(share, it.run, call)) for name, it in groups.items()}
    return play(turns, _ROUNDS)


def _speed(took: Sequence[float], batch: int) -> str:
    found: Spread = spread([1e3 * one for one in took])
    return f"{found.text(3)} ms a step, {batch / found.middle * 1e3:,.0f} images/s"


def _start(name: str, preset: str, sets: Sequence[str], number: int = 0) -> Contestant:
    """One of ours."""
    key = (name, preset, tuple(sets), number)
    if key not in _ready:
        cpus = usable_cpus()
        options = [word for value in sets for word in ("--set", value)]
        arguments = (preset, "--threads", len(cpus), *options)
        _ready[key] = Contestant("bench.gantry_loop", arguments, cpus=cpus)
    return _ready[key]


def _start_other(name: str, python: str, preset: str, batch: int, images: Path, call: int) -> Contestant:
    """One of the others', with none of the libraries that are there for our TensorFlow."""
    cpus = usable_cpus()
    arguments = [preset, "--batch", batch, "--images", images]
    arguments += ["--threads", len(cpus)] if name == "PyTorch" else ["--call", call]
    module = "bench.torch_loop" if name == "PyTorch" else "bench.jax_loop"
    environment = {**_outside(), **_SHARED_MEMORY}
    return Contestant(module, arguments, cpus=cpus, python=python, environment=environment)


def _wait(contestants: Mapping[str, Contestant]) -> tuple[dict[str, Contestant], str]:
    """Those that are ready, and what became of the others."""
    alive, broken = {}, []
    for name, it in contestants.items():
        try:
            if not it.about:
                it.wait_ready()
            alive[name] = it
        except ContestantFailed as failure:
            broken.append(f"{name}: {failure}")
    return alive, "; ".join(broken)


def _installed(python: str, modules: Sequence[str]) -> bool:
    """Whether they are there, by their files alone: one that does not work is to be named."""
    look = "import sys, importlib.util as it; sys.exit(not all(map(it.find_spec, sys.argv[1:])))"
    try:
        command = [python, "-c", look, *modules]
        return subprocess.run(command, env=_outside(), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _outside() -> dict[str, str]:
    """Variables without our TensorFlow's packages and CUDA libraries: others bring versions of their own."""
    ours = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    packages = [entry for entry in ours if Path(entry).resolve() != ROOT]
    found = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name, separator in (("LD_LIBRARY_PATH", os.pathsep), ("PATH", os.pathsep), ("XLA_FLAGS", " ")):
        entries = os.environ.get(name, "").split(separator)
        found[name] = separator.join(it for it in entries if not any(one in it for one in packages))
    return found


def _images(config: RunConfig, scratch: Path) -> Path:
    """5,000 images of noise in the preset's shape, for the others."""
    path = scratch / f"noise-{'x'.join(map(str, config.image.shape))}.npy"
    if not path.exists():
        count = 5000 if config.image.channels == 1 else 256
        np.save(path, np.random.default_rng(0).integers(0, 256, (count, *config.image.shape), np.uint8))
    return path


if __name__ == "__main__":
    serve({"beside": beside, "sharing": sharing})
