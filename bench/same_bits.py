"""Whether two checkouts train to the same bits: ``python -m bench.same_bits BEFORE AFTER``.

Each case is trained by both, with this Python and its packages: 30 steps of `mlp`, `dcgan` and `dcgan64`,
with one worker and with two, and `mlp` stopped and resumed as well. Compared are every tensor of the last
checkpoint (weights, moving statistics, Adam's moments), every line of metrics without its timing, and every
grid. It leaves with 1 where something differs.
"""

import argparse
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

STEPS = 30
_DEADLINE_SECONDS = 900.0
_TIMING = ("images_per_second",)


class Case(NamedTuple):
    """A run that both checkouts train."""

    preset: str
    workers: int
    sets: tuple[str, ...] = ()
    stops: tuple[int, ...] = (STEPS,)
    """Steps after which it ends, and goes on to the next."""

    @property
    def name(self) -> str:
        """As a run is called."""
        return f"{self.preset}-{self.workers}" + ("-resumed" if len(self.stops) > 1 else "")


_SMALL = ("batch_size=32",)
_COLOURS = ("batch_size=16", "data.source=npz:colours.npz")
CASES = (
    *(Case("mlp", workers) for workers in (1, 2)),
    *(Case("mlp", workers, stops=(STEPS // 2, STEPS)) for workers in (1, 2)),
    *(Case("dcgan", workers, _SMALL) for workers in (1, 2)),
    *(Case("dcgan64", workers, _COLOURS) for workers in (1, 2)),
)


def train(checkout: Path, case: Case, root: Path) -> Path:
    """Train a case with a checkout's source; returns the run's folder.

    Raises:
        RuntimeError: a worker left with another code than 0; the text is what it printed.
    """
    for steps in case.stops:
        sets = (*case.sets, f"steps={steps}", "metrics.every_steps=3", "samples.every_steps=10")
        sets = (*sets, "checkpoints.every_steps=15", "seed=2")
        command = [sys.executable, "-m", "trainer", "train", "--preset", case.preset, "--root", str(root)]
        command += ["--experiment", "bits", "--run", case.name, "--threads", "1"]
        command += [word for value in sets for word in ("--set", value)]
        workers = [
            subprocess.Popen(
                command, cwd=root, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            for variables in _environments(checkout, case.workers)
        ]
        said = [worker.communicate(timeout=_DEADLINE_SECONDS)[0] for worker in workers]
        if any(worker.returncode for worker in workers):
            raise RuntimeError(f"{checkout}: {case.name} failed:\n" + "\n".join(said))
    return root / "bits" / case.name


def _environments(checkout: Path, workers: int) -> list[dict[str, str]]:
    shared = os.environ | {"PYTHONPATH": str(checkout), "CUDA_VISIBLE_DEVICES": "-1"}
    if workers == 1:
        return [shared]
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in opened]
    for one in opened:
        one.close()
    cluster = {"worker": addresses}
    return [
        shared | {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}
        for index in range(workers)
    ]


def bits(run: Path, until: int | None = None) -> dict[str, str]:
    """A hash of everything in a run's folder that is a function of its configuration, by name.

    `until`: the checkpoint's step, None for the newest; lines and grids beyond it do not count.
    """
    import tensorflow as tf

    step = until or max(int(folder.name) for folder in (run / "checkpoints").iterdir())
    reader = tf.train.load_checkpoint(str(run / "checkpoints" / str(step) / "state"))
    found = {
        f"tensor {name}": _sum(np.ascontiguousarray(reader.get_tensor(name)).tobytes())
        for name in reader.get_variable_to_shape_map()
        if not name.startswith("_CHECKPOINTABLE")
    }
    for segment in (run / "metrics").glob("*.jsonl"):
        for text in segment.read_text().splitlines():
            line = {key: value for key, value in json.loads(text).items() if key not in _TIMING}
            if line["step"] <= step:
                found[f"line {line['step']}"] = _sum(json.dumps(line, sort_keys=True).encode())
    grids = {path.name: path for path in (run / "samples").glob("*.png")}
    late = {name for name in grids if name[:-4].isdecimal() and int(name[:-4]) > step}
    return found | {
        f"grid {name}": _sum(path.read_bytes()) for name, path in grids.items() if name not in late
    }


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def compare(before: Path, after: Path, cases: tuple[Case, ...], work: Path) -> list[str]:
    """Train every case with both, print a row for each, and return what differs."""
    colours = np.random.default_rng(0).integers(0, 256, (256, 64, 64, 3), np.uint8)
    differences = []
    print("| run | tensors | lines | grids | |\n|---|---|---|---|---|")
    for case in cases:
        found = []
        for side, checkout in (("before", before), ("after", after)):
            root = work / side
            root.mkdir(exist_ok=True)
            np.savez(root / "colours.npz", images=colours)
            found.append(bits(train(checkout, case, root)))
        old, new = found
        differ = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        differences += [f"{case.name}: {name}" for name in differ]
        counts = " | ".join(
            str(sum(name.startswith(kind) for name in new)) for kind in ("tensor", "line", "grid")
        )
        told = "the same bits" if not differ else f"{len(differ)} differ: {', '.join(differ[:3])}"
        print(f"| {case.name} | {counts} | {told} |", flush=True)
    return differences


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path, help="a checkout")
    parser.add_argument("after", type=Path, help="another one")
    parser.add_argument("--only", default="", help="cases whose name has this in it, such as mlp")
    options = parser.parse_args()
    chosen = tuple(case for case in CASES if options.only in case.name)
    with tempfile.TemporaryDirectory() as work:
        differ = compare(options.before.resolve(), options.after.resolve(), chosen, Path(work))
    sys.exit(1 if differ or not chosen else 0)


if __name__ == "__main__":
    main()
