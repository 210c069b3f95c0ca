"""What protection is worth and what it costs: from a SIGKILL to the next step, and a step's time with it."""

import os
import re
import signal
import statistics
import time
from itertools import pairwise
from pathlib import Path

import psutil

from bench.contestant import Contestant, ContestantFailed, Group
from bench.report import Goal, Section, table
from bench.rounds import Spread, Turn, play, ratios, ready, spread
from bench.setting import Setting, speed_row

_EVERY = 200  # steps between two checkpoints of the run that is killed
_LIMIT_SECONDS = 120.0
# What the chief's pod says in the course of a recovery, and what has been going on until then.
_PHASES = (
    ("found out and ended the other trainer", rb"starting again: "),
    ("workers met", rb"generation \d+: "),
    ("TensorFlow imported, strategy built", rb"all 2 workers are here"),
    ("checkpoint read", rb"resuming "),
    ("data loaded, step traced and taken by all", rb"\d+/\d+ \[D loss"),
)
_ANCHORS = (
    "Beside it: TorchElastic restarts all workers when one is lost, too, and leaves to the script what is "
    "resumed; StyleGAN3's `--resume` loads the networks and begins with a fresh optimizer."
)


def recovery(setting: Setting) -> Section:
    """Both parts."""
    kills = setting.amount(6, 2)
    seconds, lost = _kills(setting, kills)
    whole = spread([sum(each) for each in seconds])
    cost, rows = _cost(setting)
    more, least, most = (f"{100 * (each - 1):+.1f}" for each in cost)
    goals = [
        Goal(
            "from SIGKILL of a worker's trainer to the next step taken by all, one machine",
            "at most 10 s", f"{whole.text(1)} s", whole.middle <= 10,
            "Two trainers import TensorFlow at the same time on two cores, which is most of it.",
        ),
        Goal(
            f"steps lost, with a checkpoint every {_EVERY} steps",
            "at most the interval", f"{max(lost)} at most", max(lost) <= _EVERY, "",
        ),
        Goal(
            "a step with lease, watchdog and supervisor, against one without", "at most 1 % more",
            f"{more} % ({least} to {most})", cost.middle <= 1.01,
            "Differences of a per cent are below this machine's noise.",
        ),
    ]  # fmt: skip
    text = (
        "Preset `mlp`, two pods as processes of this machine, one thread each. The trainer of one, the "
        "chief's and the other's by turns, gets SIGKILL in the middle of a run; the times are those at which "
        f"the chief's pod writes its lines. {_ANCHORS}"
    )
    middles = [statistics.median(each) for each in zip(*seconds, strict=True)]
    phases = [(name, f"{middle:.2f}") for (name, _), middle in zip(_PHASES, middles, strict=True)]
    tables = [
        table(("phase", "seconds, median"), phases),
        table(("step", "ms a step", "images/s", "memory"), rows),
    ]
    return Section("When a worker dies", text, goals, tables)


def _kills(setting: Setting, count: int) -> tuple[list[list[float]], list[int]]:
    """Seconds of each phase for each kill, and the steps that were taken again."""
    from tests.trainer.pods import Pods

    sets = ("steps=1000000", f"checkpoints.every_steps={_EVERY}", "metrics.every_steps=1",
            "metrics.print_every_steps=1", "xla=off")  # fmt: skip
    seconds, lost = [], []
    with Pods(str(setting.scratch / "runs"), "killed", setting.scratch, workers=2, sets=sets) as pods:
        log = pods.logs[0]
        for number in range(count):
            # Past a newer checkpoint each time, else the supervisor would begin to pause between restarts.
            _until(log, 0, rb"\n%d/1000000 " % ((number + 1) * _EVERY + 50))
            begin = log.stat().st_size
            trainer = psutil.Process(pods.processes[number % 2].pid).children()[0]
            start = time.perf_counter()
            trainer.send_signal(signal.SIGKILL)
            times, at = [start], begin
            for _, pattern in _PHASES:
                at = _until(log, at, pattern)
                times.append(time.perf_counter())
            seconds.append([after - before for before, after in pairwise(times)])
            lost.append(_lost(log.read_bytes(), begin))
    return seconds, lost


def _until(log: Path, start: int, pattern: bytes) -> int:
    """Where a pattern ends in a log, awaited from a position on."""
    end = time.monotonic() + _LIMIT_SECONDS
    while time.monotonic() < end:
        with log.open("rb") as file:
            file.seek(start)
            if found := re.search(pattern, file.read()):
                return start + found.end()
        time.sleep(0.005)
    raise ContestantFailed(f"no {pattern!r} within {_LIMIT_SECONDS:.0f} s: {log.read_bytes()[-300:]!r}")


def _lost(log: bytes, begin: int) -> int:
    """Steps that were taken before a kill and had to be taken again after it."""
    after = log[begin:].partition(b"starting again: ")
    taken = re.findall(rb"(\d+)/1000000 \[D loss", log[:begin] + after[0])
    resumed = re.search(rb"after step (\d+)", after[2])
    return int(taken[-1]) - int(resumed[1]) if taken and resumed else 0


def _cost(setting: Setting) -> tuple[Spread, list[tuple[str, ...]]]:
    """A step with protection over one without, and the table's rows."""
    contestants = {
        name: Contestant("bench.protected_loop", (name, os.fspath(setting.scratch)), cpus=setting.two)
        for name in ("without", "with")
    }
    steps = setting.amount(300, 20)
    with ready(contestants):
        turns = {name: Turn(Group([it]), steps) for name, it in contestants.items()}
        times = play(turns, setting.amount(15, 2))
    rows = [speed_row(name, times, it.peak_mib, 64) for name, it in contestants.items()]
    return ratios(times["with"], times["without"]), rows
