"""One row with one seed: trained by the trainer's own command in a temporary folder, then judged by it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.contestant import ROOT, usable_cpus
from bench.report import processor
from bench.zoo.record import hash_of
from bench.zoo.rows import SAMPLES, Row
from trainer.config import RunConfig
from trainer.environment import revision, surroundings
from trainer.evaluation.features import NETWORKS
from trainer.networks.sizes import sizes

_DIVERGED = 1
FEATURES = NETWORKS["digits"].label
_RECALL, _CLASSES = 0.01, 0.8  # below either of which a generator has collapsed


class Ran(NamedTuple):
    """A command that has ended."""

    code: int
    seconds: float
    peak_mib: float
    """Largest resident memory."""
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """The line of its error."""
        return next(
            (line for line in reversed(self.errors.splitlines()) if line.strip()), f"code {self.code}"
        )


def play(row: Row, seed: int, held_out: str | None, samples: int = SAMPLES) -> dict[str, Any]:
    """What docs/zoo keeps of it; a run that fails is one that says so."""
    config = row.config(seed)
    with tempfile.TemporaryDirectory(prefix="gantry-zoo-") as scratch:
        words = ["--preset", row.preset, "--root", scratch, "--experiment", "zoo", "--run", "run"]
        for word in row.words(seed):
            words += ["--set", word]
        trained = _ran(scratch, "train", *words)
        said = _about(row, seed, config, trained)
        run = Path(scratch) / "zoo" / "run"
        if trained.code:
            diverged = trained.code == _DIVERGED and "NaN or Inf" in trained.errors
            ended = "diverged" if diverged else "failed"
            return {
                **said,
                "outcome": ended,
                "why": trained.last_words,
                "collapsed": True if diverged else None,
            }
        said["images_per_second"] = _speed(run)
        more = ["--held-out", held_out] if held_out else []
        judged = _ran(
            scratch,
            "evaluate",
            "--run-dir",
            str(run),
            "--samples",
            str(samples),
            "--draws",
            "1",
            *more,
            "-o",
            "json",
        )
        if judged.code:
            return {**said, "outcome": "not judged", "why": judged.last_words, "collapsed": None}
        return {**said, "outcome": "finished", **_figures(json.loads(judged.output), judged)}


def _ran(scratch: str, *words: str) -> Ran:
    with (Path(scratch) / "out").open("w+b") as output, (Path(scratch) / "err").open("w+b") as errors:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer", *words],
            cwd=ROOT,
            env=surroundings.environment(os.environ),
            stdout=output,
            stderr=errors,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = [Path(file.name).read_text(errors="replace") for file in (output, errors)]
    return Ran(process.returncode, seconds, usage.ru_maxrss / 1024, *texts)


def _about(row: Row, seed: int, config: RunConfig, trained: Ran) -> dict[str, Any]:
    """What is known without a figure. `images` are those of the generator's updates, equal in every row."""
    found, generated = sizes(config), config.batch_size * config.steps
    return {
        "row": row.name,
        "seed": seed,
        "preset": row.preset,
        "overrides": list(row.words(seed)),
        "revision": revision.revision(os.environ),
        "configuration": hash_of(config),
        "resolved": config.model_dump(mode="json"),
        "machine": f"{processor()}, {len(usable_cpus())} cores",
        "minutes": round(trained.seconds / 60, 2),
        "images": generated * config.g_repeats,
        "discriminator_images": generated * config.d_repeats,
        "images_per_second": None,
        "peak_memory_mib": round(trained.peak_mib),
        "parameters": {
            "generator": sum(layer.parameters for layer in found.generator),
            "discriminator": sum(layer.parameters for layer in found.discriminator),
        },
        "features": FEATURES,
    }


def lines(run: Path) -> list[dict[str, Any]]:
    """Its lines of metrics, in their order."""
    files = sorted((run / "metrics").glob("*.jsonl"), key=lambda file: int(file.stem))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def _speed(run: Path) -> float:
    """Real images a second, the median of the lines of metrics after the first, which compiles."""
    found = lines(run)
    return round(median(line["images_per_second"] for line in found[1:] or found), 1)


def _figures(found: dict[str, Any], judged: Ran) -> dict[str, Any]:
    metrics = found["metrics"]
    classes = metrics["classes"]
    collapsed = classes["value"] < _CLASSES * classes["floor"] or metrics["recall"]["value"] < _RECALL
    return {
        "average": found["average"],
        "judged_minutes": round(judged.seconds / 60, 2),
        **{name: figure["value"] for name, figure in metrics.items()},
        "copies": found["copies"]["ratio"],
        "collapsed": collapsed,
        "floor": {name: figure["floor"] for name, figure in metrics.items()},
        "held_out": {name: figure["held_out"] for name, figure in metrics.items()},
        "names": {name: figure["name"] for name, figure in metrics.items()},
        "reference": metrics["fd"]["reference"],
        "held_out_set": (found["copies"]["held_out"] or "").rpartition("/")[2] or None,  # its folder is gone
    }
