"""``python -m bench.zoo [NAME …]``: play what is not there or was of another configuration."""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench.zoo import record
from bench.zoo.play import FEATURES, play
from bench.zoo.rows import ROWS
from trainer.data import Look
from trainer.data.idx import open_test
from trainer.errors import GantryError


def main() -> None:
    """Play the rows that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench.zoo", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("rows", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all if left out")
    parser.add_argument("--mnist", type=Path, help="folder of MNIST's IDX files: its test set is held out")
    options = parser.parse_args()
    for name in options.rows:
        if name not in names:
            parser.error(f"there is no row '{name}'; rows are {', '.join(names)}")
    with tempfile.TemporaryDirectory(prefix="gantry-zoo-") as scratch:
        try:
            held_out = _held_out(options.mnist, Path(scratch)) if options.mnist else None
        except GantryError as error:
            parser.error(f"--mnist {options.mnist}: {error}")
        for row in ROWS:
            if not options.rows or row.name in options.rows:
                for seed in row.seeds:
                    _ensure(row.name, seed, held_out)


def _ensure(name: str, seed: int, held_out: str | None) -> None:
    row = next(each for each in ROWS if each.name == name)
    if record.is_current(record.read(name, seed), row.config(seed), FEATURES):
        print(f"{name} {seed}: there", file=sys.stderr)
        return
    said = play(row, seed, held_out)
    record.write(said)
    told = f"FD {said['fd']:.1f}" if "fd" in said else said["why"]
    print(f"{name} {seed}: {said['outcome']}, {said['minutes']} minutes, {told}", file=sys.stderr, flush=True)


def _held_out(folder: Path, scratch: Path) -> str:
    """MNIST's test images as a source."""
    np.savez(scratch / "mnist-test.npz", images=open_test(str(folder), Look(f"idx:{folder}")).load())
    return f"npz:{scratch}/mnist-test.npz"


if __name__ == "__main__":
    main()
