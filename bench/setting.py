"""What every part of a benchmark run is told."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.contestant import Contestant, usable_cpus
from bench.rounds import Times, spread

SGEMM_SIDE = 2048
SGEMM_FLOP = 2 * SGEMM_SIDE**3
SPEED_HEAD = ("contestant", "ms a step", "images/s", "peak memory")


@dataclass(frozen=True)
class Setting:
    """How much to measure and with what."""

    quick: bool
    torch_python: str
    torch: str | None
    """PyTorch's version, None when that Python has none."""
    scratch: Path
    """A folder for data and runs."""

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
        return Contestant("bench.torch_loop", arguments, cpus=self.two, python=self.torch_python)


def torch_version(python: str) -> str | None:
    """PyTorch's version under that Python, None when it has none."""
    try:
        command = [python, "-c", "import torch; print(torch.__version__)"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def speed_row(name: str, times: Times, peak_mib: float, batch: int) -> tuple[str, str, str, str]:
    """Milliseconds a step, images a second and peak memory of one entry."""
    took = spread([1e3 * seconds for seconds in times[name]])
    return name, took.text(1), f"{batch / took.middle * 1e3:,.0f}", f"{peak_mib:.0f} MiB"
