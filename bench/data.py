"""Images for the contestants, written by a process of its own: ``python -m bench.data digits file.npy``.

The referee itself stays small and single-threaded; Gantry's sources may bring TensorFlow with them.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from bench.contestant import ROOT


def digits(folder: Path) -> Path:
    """The 5,000 real digits, uint8 [N, 28, 28, 1], as .npy."""
    return _made("digits", folder / "digits.npy")


def noise(folder: Path) -> Path:
    """256 images of noise for the preset `dcgan64`, uint8 [N, 64, 64, 3], as .npy."""
    return _made("noise", folder / "noise.npy")


def noise_archive(folder: Path) -> Path:
    """The same as an archive, which Gantry reads."""
    return _made("noise", folder / "noise.npz")


def _made(kind: str, path: Path) -> Path:
    if not path.exists():
        subprocess.run([sys.executable, "-m", "bench.data", kind, str(path)], cwd=ROOT, check=True)
    return path


def main() -> None:
    """Write one file."""
    kind, path = sys.argv[1], Path(sys.argv[2])
    if kind == "digits":
        from trainer.data import open_source

        images = open_source("digits", (28, 28, 1)).load()
    else:
        images = np.random.default_rng(0).integers(0, 256, (256, 64, 64, 3), np.uint8)
    if path.suffix == ".npz":
        np.savez(path, images=images)
    else:
        np.save(path, images)


if __name__ == "__main__":
    main()
