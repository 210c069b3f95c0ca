"""A group of whole runs of `python -m trainer train` on the device.

What a checkpoint costs, and whether a resumed run ends in the same bits.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.contestant import ROOT
from bench.on_gpu.group import Figures, serve
from bench.same_bits import bits
from trainer.config import resolve

_SAID = 400  # letters of a trainer that failed


def stall(preset: str, sets: Sequence[str], steps: int, scratch: str) -> Figures:
    """How long the loop of a run waits for its checkpoints, of which it takes two."""
    run = _whole(preset, sets, steps, Path(scratch))
    attempt = json.loads((run / "result.json").read_text())["attempt"]
    manifest = json.loads((run / "checkpoints" / str(steps) / "manifest.json").read_text())
    return {
        "steps": steps,
        "ms_a_checkpoint": round(1e3 * attempt["checkpoint_stall_seconds"] / 2, 2),
        "checkpoint_mb": round(sum(entry["size"] for entry in manifest["files"]) / 1e6, 1),
        "written_in_seconds": json.loads((run / "status.json").read_text()).get("checkpoint_seconds"),
        "run_seconds": attempt["seconds"],
    }


def resume(preset: str, sets: Sequence[str], steps: int, scratch: str) -> Figures:
    """Whether a run that ended half-way and went on ends in the bits of one that nobody touched.

    Both begin anew, so their first halves tell whether the device gives the same bits twice at all.
    """
    whole, half = _whole(preset, sets, steps, Path(scratch)), steps // 2
    parted = _train(preset, sets, half, half, Path(scratch), "parted")
    first = _differ(bits(parted), bits(whole, half))
    parted = _train(preset, sets, steps, half, Path(scratch), "parted")
    last = _differ(bits(parted), bits(whole))
    told = {"steps": steps, "compared": len(bits(whole)), "first_half": _told(first), "resumed": _told(last)}
    return {**told, **({"failed": f"after resuming {_told(last)}"} if last else {})}


def _whole(preset: str, sets: Sequence[str], steps: int, scratch: Path) -> Path:
    """The untouched run, which rows share."""
    run = scratch / "bits" / f"{preset}-whole"
    return run if run.exists() else _train(preset, sets, steps, steps // 2, scratch, "whole")


def _train(preset: str, sets: Sequence[str], steps: int, every: int, scratch: Path, name: str) -> Path:
    """Train to a step, or go on to it; the run's folder.

    Raises:
        RuntimeError: the trainer left with another code than 0; the text is the end of what it printed.
    """
    values = [*sets, f"steps={steps}", f"checkpoints.every_steps={every}", f"samples.every_steps={every}"]
    values += [f"metrics.every_steps={max(1, every // 3)}", "seed=2", *_source(preset, scratch)]
    run = f"{preset}-{name}"
    command = [sys.executable, "-m", "trainer", "train", "--preset", preset, "--root", str(scratch)]
    command += ["--experiment", "bits", "--run", run]
    command += [word for value in values for word in ("--set", value)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())[-_SAID:]
        raise RuntimeError(f"trainer train left with {done.returncode}: {said}")
    return scratch / "bits" / run


def _source(preset: str, scratch: Path) -> list[str]:
    """Noise where the preset's images are not the digits."""
    shape = resolve(preset).image.shape
    if shape == (28, 28, 1):
        return []
    path = scratch / f"{preset}.npz"
    if not path.exists():
        np.savez(path, images=np.random.default_rng(0).integers(0, 256, (256, *shape), np.uint8))
    return [f"data.source=npz:{path}"]


def _differ(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def _told(differ: Sequence[str]) -> str:
    return f"{len(differ)} differ: {', '.join(differ[:3])}" if differ else "the same bits"


if __name__ == "__main__":
    serve({"stall": stall, "resume": resume})
