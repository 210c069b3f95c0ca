"""How long training waits for checkpoints: whole runs of a minute, with one checkpoint every 30 s."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from bench import data
from bench.contestant import ROOT, ContestantFailed, Group
from bench.report import Goal, Section, table
from bench.rounds import ready
from bench.setting import Setting


class Outcome(NamedTuple):
    """What a run left behind about its checkpoints."""

    seconds: float
    stall: float
    megabytes: float
    behind: float
    """Seconds by which the lines after the first checkpoint were slower than usual: the writing itself."""
    noise: float | None
    """How much as many lines differ when nothing is written."""


def stall(setting: Setting) -> Section:
    """Both presets."""
    goals, rows = [], []
    for preset in ("mlp", "dcgan64"):
        found = _measure(setting, preset)
        share = found.stall / found.seconds
        why = f"The loop waited {found.stall:.3f} s in two checkpoints of {found.megabytes:.0f} MB."
        goals.append(
            Goal(
                f"`{preset}`, batch 64, share of a run waiting for checkpoints, one every "
                f"{found.seconds / 2:.0f} s",
                "at most 1 %", f"{share:.3%}", share <= 0.01, why,
            )
        )  # fmt: skip
        noise = "unknown" if found.noise is None else f"{1e3 * found.noise:.0f}"
        behind = f"{1e3 * found.behind:.0f} ms (± {noise})"
        row = (preset, f"{found.seconds:.1f} s", f"{found.megabytes:.0f} MB", f"{1e3 * found.stall:.1f} ms")
        rows.append((*row, f"{share:.3%}", behind))
    text = (
        "A run of `python -m trainer train` on the local disk, batch 64, with two checkpoints. The loop "
        "waits "
        "only while a checkpoint is taken from the variables; the files are written behind it. The last "
        "column "
        "is what the writing takes from the steps beside it: how much slower the three lines of metrics "
        "after "
        "the first checkpoint were than the median line, and how much three lines differ elsewhere."
    )
    head = ("preset", "run", "checkpoint", "waited in two", "share", "steps beside one slower by")
    return Section("Checkpoints", text, goals, [table(head, rows)])


def _measure(setting: Setting, preset: str) -> Outcome:
    every = max(2, int(setting.amount(30, 6) / _step_seconds(setting, preset)))
    # The plain GAN's lines are 50 steps apart as in its preset, the DCGAN's one.
    line = 50 if preset == "mlp" else 1
    every = max(line, every - every % line)
    values = {
        "steps": 2 * every,
        "checkpoints.every_steps": every,
        "batch_size": 64,
        "metrics.every_steps": line,
    }
    if preset != "mlp":
        values["data.source"] = f"npz:{data.noise_archive(setting.scratch)}"
    command = [sys.executable, "-m", "trainer", "train", "--preset", preset, "--threads", "2"]
    command += ["--root", str(setting.scratch / "runs"), "--experiment", "stall", "--run", preset]
    command += [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    environment = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ContestantFailed(
            f"trainer train ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}"
        )
    return _read(setting.scratch / "runs" / "stall" / preset, every, line)


def _step_seconds(setting: Setting, preset: str) -> float:
    """Seconds of one step just now, to choose the interval by."""
    contestant = setting.gantry(preset, 64, "--warm", 2)
    with ready({preset: contestant}):
        count = 100 if preset == "mlp" else 2
        return Group([contestant]).run(count) / count


def _read(run: Path, every: int, line: int) -> Outcome:
    attempt = json.loads((run / "result.json").read_text())["attempt"]
    manifest = json.loads((run / "checkpoints" / str(2 * every) / "manifest.json").read_text())
    segments = sorted(run.glob("metrics/*.jsonl"), key=lambda path: int(path.stem))
    lines = [json.loads(text) for path in segments for text in path.read_text().splitlines()]
    seconds = [line * 64 / entry["images_per_second"] for entry in lines]
    first = every // line  # the line after the first checkpoint
    usual = statistics.median(seconds)
    elsewhere = [sum(seconds[at : at + 3]) - 3 * usual for at in range(3, first - 3, 3)]
    return Outcome(
        seconds=attempt["seconds"],
        stall=attempt["checkpoint_stall_seconds"],
        megabytes=sum(entry["size"] for entry in manifest["files"]) / 1e6,
        behind=sum(seconds[first : first + 3]) - 3 * usual,
        noise=statistics.pstdev(elsewhere) if len(elsewhere) > 1 else None,
    )
