"""``python -m bench.metrics --torch-python PYTHON``: our figures beside torch-fidelity's and prdc's.

On the same features, which are made here from fixed numbers. PYTHON has both packages
(`pip install torch-fidelity prdc`). It writes what they say into bench/second_metrics.json, to which a test
holds us without them, and the table of docs/evaluation.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.contestant import ROOT, usable_cpus
from bench.report import processor, table
from trainer.environment import revision
from trainer.evaluation.features import Seen
from trainer.evaluation.figures import METRICS, measured

SECOND, FILE = ROOT / "bench" / "second_metrics.py", ROOT / "bench" / "second_metrics.json"
PAGE = ROOT / "docs" / "evaluation.md"
BEGIN, END = "<!-- compared: written by `python -m bench.metrics` -->", "<!-- end of what was compared -->"
CASES = {"small": (1500, 1200, 24), "large": (10_000, 10_000, 96)}
"""Images of the reference, samples, features."""
_GROUPS = (("fd",), ("kid", "kid_deviation"), ("precision", "recall"), ("density", "coverage"), ("score",))
COMPARED = tuple(name for group in _GROUPS for name in group)


def case(name: str) -> tuple[Seen, Seen]:
    """Features as a network's after ReLU, of ten classes, and their probabilities; always the same."""
    count, samples, size = CASES[name]
    draws = np.random.RandomState(7)  # whose numbers are the same in every NumPy
    middle = 2 * draws.standard_normal((10, size))

    def some(of: int, lowest: int, shift: float) -> Seen:
        labels = draws.randint(lowest, 10, of)
        features = np.maximum(middle[labels] + shift + draws.standard_normal((of, size)), 0)
        shares = draws.dirichlet(np.full(10, 0.3), of) + 2 * np.eye(10)[labels]
        return Seen(features.astype(np.float32), (shares / 3).astype(np.float32))

    return some(count, 0, 0.0), some(samples, 1, 0.1)  # a class is missing, and all is moved a little


def ours(real: Seen, fake: Seen) -> tuple[dict[str, float], dict[str, float]]:
    """Values and seconds by name."""
    values: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for group in _GROUPS:
        start = time.perf_counter()
        values |= measured(real, fake, group)
        seconds |= dict.fromkeys(group, time.perf_counter() - start)
    return values, seconds


def theirs(python: str, real: Seen, fake: Seen) -> dict[str, Any]:
    """What the other implementations say of the same numbers."""
    with tempfile.TemporaryDirectory(prefix="gantry-metrics-") as scratch:
        file = Path(scratch) / "features.npz"
        np.savez(file, real=real.features, fake=fake.features, shares=fake.shares)
        done = subprocess.run([python, SECOND, file], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{python}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Compare, and write both files."""
    parser = argparse.ArgumentParser(prog="python -m bench.metrics", description=__doc__)
    parser.add_argument("--torch-python", required=True, help="a Python that has torch-fidelity and prdc")
    options = parser.parse_args()
    second: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = []
    for name in CASES:
        real, fake = case(name)
        values, seconds = ours(real, fake)
        second[name] = theirs(options.torch_python, real, fake)
        if name == "large":
            rows = [_row(metric, values, seconds, second[name]) for metric in COMPARED]
    versions = second["large"]["versions"]
    kept = {name: found["values"] for name, found in second.items()} | {"versions": versions}
    FILE.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    count, samples, size = CASES["large"]
    machine = f"{processor()}, {len(usable_cpus())} cores, beside others"
    text = (
        f"{count:,} images against {samples:,} samples in {size} features; torch-fidelity "
        f"{versions['torch-fidelity']} and, for density and coverage, prdc {versions['prdc']}, both given "
        "float64; precision, recall, density and coverage of 5,000. A group of figures is one "
        f"computation, whose seconds each has. At {revision.revision({})[:7]} on {machine}.\n\n"
        + table(("figure", "ours", "theirs", "apart by", "ours, s", "theirs, s"), rows)
    )
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(text)


def _row(
    metric: str, values: dict[str, float], seconds: dict[str, float], found: dict[str, Any]
) -> tuple[str, ...]:
    mine, other = values[metric], found["values"][metric]
    return (
        METRICS[metric].title,
        f"{mine:.10g}",
        f"{other:.10g}",
        f"{abs(mine - other) / abs(other):.0e}",
        f"{seconds[metric]:.2f}",
        f"{found['seconds'][metric]:.2f}",
    )


if __name__ == "__main__":
    main()
