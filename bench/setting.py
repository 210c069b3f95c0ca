"""What every part of a benchmark run is told."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.contestant import Contestant, usable_cpus
from bench.rounds import Times, spread

SGEMM_SIDE = 2048
SGEMM_FLOP = 2 * SGEMM_SIDE**3
SPEED_HEAD = ("contestant", "ms a step", "images/s", "peak memory")


class Foreign(NamedTuple):
    """A library of others, under a Python that may be another one than this."""

    python: str
    version: str | None
    """None when that Python has none."""

    @property
    def told(self) -> str:
        """The version, for a page."""
        return self.version or "not installed"

    @classmethod
    def find(cls, python: str, *modules: str) -> "Foreign":
        """Ask that Python for the first module's version; all have to be there."""
        command = [python, "-c", f"import {', '.join(modules)}; print({modules[0]}.__version__)"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return cls(python, None)
        return cls(python, told.stdout.strip())


@dataclass(frozen=True)
class Setting:
    """How much to measure and with what."""

    quick: bool
    torch: Foreign
    """PyTorch, and the Python that has it."""
    jax: Foreign
    """JAX with Optax."""
    scratch: Path
    """A folder for data and runs."""

    @property
    def others(self) -> dict[str, str]:
        """Version of what others train with, by its name."""
        return {"PyTorch": self.torch.told, "JAX": self.jax.told}

    def amount(self, full: int, quick: int) -> int:
        """Steps or rounds."""
        return quick if self.quick else full

    @property
    def two(self) -> list[int]:
        """The cores of a contestant with two threads."""
        return usable_cpus()[:2]

    def gantry(self, preset: str, batch: int, *options: object, xla: str = "auto") -> Contestant:
        """Gantry with two threads."""
        values = ("--set", f"batch_size={batch}", "--set", f"xla={xla}")
        return Contestant("bench.gantry_loop", (preset, "--threads", 2, *values, *options), cpus=self.two)

    def pytorch(self, preset: str, batch: int, images: Path, *options: object) -> Contestant:
        """PyTorch with two threads."""
        arguments = (preset, "--threads", 2, "--batch", batch, "--images", images, *options)
        return Contestant("bench.torch_loop", arguments, cpus=self.two, python=self.torch.python)

    def in_jax(self, batch: int, images: Path, call: int) -> Contestant:
        """JAX with two threads, `call` steps in one call."""
        arguments = ("mlp", "--batch", batch, "--images", images, "--call", call)
        environment = {"NPROC": "2"}  # XLA's threads
        return Contestant(
            "bench.jax_loop", arguments, cpus=self.two, python=self.jax.python, environment=environment
        )


def speed_row(name: str, times: Times, peak_mib: float, batch: int) -> tuple[str, str, str, str]:
    """Milliseconds a step, images a second and peak memory of one entry."""
    took = spread([1e3 * seconds for seconds in times[name]])
    return name, took.text(1), f"{batch / took.middle * 1e3:,.0f}", f"{peak_mib:.0f} MiB"
