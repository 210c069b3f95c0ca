"""Two processes of one thread, each on a core of its own, against twice one such process.

What is lost on the way is measured in stages: one process alone, two that know nothing of each other at the
same time (they share caches and memory bandwidth), the same without XLA (which cannot hold a collective), and
two workers of one run. Each process keeps its batch.
"""

import json
import socket
from typing import NamedTuple

from bench.contestant import Contestant, Group, usable_cpus
from bench.report import Goal, Section, table
from bench.rounds import Times, Turn, play, ratios, ready, spread
from bench.setting import Setting


class Plan(NamedTuple):
    """One measurement of two workers."""

    preset: str
    batch: int
    """Of each process."""
    goal: float
    steps: int
    rounds: int
    quick_steps: int


_PLANS = (Plan("dcgan64", 32, 0.85, 2, 5, 1), Plan("mlp", 512, 0.8, 12, 9, 4))


def workers(setting: Setting) -> Section:
    """Both presets."""
    text = (
        "Processes of one thread, each pinned to one core. *Alone* is one of them while the other core "
        "rests, "
        "the mean of both cores; *side by side* are two that do not know each other; *two workers* train one "
        "run together over the loopback. The batch of each process stays the same."
    )
    section = Section("Two workers", text)
    if len(usable_cpus()) < 2:
        section.goals = [
            Goal(_what(plan), f"at least {plan.goal}", "there is one core only", None) for plan in _PLANS
        ]
        return section
    for plan in _PLANS:
        goal, lines = _measure(setting, plan)
        section.goals.append(goal)
        section.tables.append(lines)
    return section


def _what(plan: Plan) -> str:
    return f"`{plan.preset}`, {plan.batch} for each of two workers, against twice one"


def _measure(setting: Setting, plan: Plan) -> tuple[Goal, str]:
    contestants = _contestants(plan)
    pair = [contestants["worker 0"], contestants["worker 1"]]
    steps = setting.amount(plan.steps, plan.quick_steps)
    with ready(contestants):
        turns = {
            "alone 0": Turn(Group([contestants["single 0"]]), steps),
            "alone 1": Turn(Group([contestants["single 1"]]), steps),
            "side by side": Turn(Group([contestants["single 0"], contestants["single 1"]]), steps),
            "two workers": Turn(Group(pair), steps),
            "all-reduce": Turn(Group(pair, "reduce"), 5 * steps),
        }
        if "plain 0" in contestants:
            plain = Group([contestants["plain 0"], contestants["plain 1"]])
            turns["side by side, no XLA"] = Turn(plain, steps)
        times = play(turns, setting.amount(plan.rounds, 2))
    # Each core's own rate: two workers at full efficiency would take the harmonic mean of both.
    alone = [2 / (1 / a + 1 / b) for a, b in zip(times["alone 0"], times["alone 1"], strict=True)]
    times["alone"] = alone
    efficiency = ratios(alone, times["two workers"])
    why = _where_it_goes(times, pair[0].about["gradient_mb"])
    goal = Goal(_what(plan), f"at least {plan.goal}", efficiency.text(), efficiency.middle >= plan.goal, why)
    peak = {
        "alone": contestants["single 0"].peak_mib,
        "side by side": contestants["single 0"].peak_mib,
        "side by side, no XLA": contestants["plain 0"].peak_mib if "plain 0" in contestants else 0,
        "two workers": max(worker.peak_mib for worker in pair),
    }
    return goal, f"{_table(times, plan, peak)}\n\n{why}"


def _contestants(plan: Plan) -> dict[str, Contestant]:
    cpus = usable_cpus()[:2]

    def gantry(core: int, batch: int, xla: str = "auto", config: str = "") -> Contestant:
        values = ("--set", f"batch_size={batch}", "--set", f"xla={xla}", "--warm", 2)
        return Contestant(
            "bench.gantry_loop",
            (plan.preset, "--threads", 1, *values),
            cpus=[cpus[core]],
            environment={"TF_CONFIG": config} if config else None,
        )

    addresses = [f"127.0.0.1:{port}" for port in _free_ports(2)]
    found = {}
    for core in range(2):
        task = {"type": "worker", "index": core}
        config = json.dumps({"cluster": {"worker": addresses}, "task": task})
        found[f"worker {core}"] = gantry(core, 2 * plan.batch, config=config)
        found[f"single {core}"] = gantry(core, plan.batch)
        if plan.preset == "mlp":
            found[f"plain {core}"] = gantry(core, plan.batch, "off")
    return found


def _table(times: Times, plan: Plan, peak: dict[str, float]) -> str:
    rows = []
    for name in ("alone", "side by side", "side by side, no XLA", "two workers"):
        if name in times:
            took = spread([1e3 * seconds for seconds in times[name]])
            images = plan.batch * (1 if name == "alone" else 2) / took.middle * 1e3
            share = ratios(times["alone"], times[name]).text()
            rows.append((name, took.text(1), f"{images:,.0f}", share, f"{peak[name]:.0f} MiB"))
    head = (f"`{plan.preset}`, {plan.batch} each", "ms a step", "images/s", "efficiency", "peak of a process")
    return table(head, rows)


def _where_it_goes(times: Times, megabytes: float) -> str:
    def lost(start: str, end: str) -> str:
        gaps = [1e3 * (b - a) for a, b in zip(times[start], times[end], strict=True)]
        return f"{spread(gaps).middle:.1f} ms"

    together = "side by side, no XLA" if "side by side, no XLA" in times else "side by side"
    parts = [
        f"Of each step, {lost('alone', 'side by side')} are lost as soon as the other core is busy too "
        "(caches, memory, clock)"
    ]
    if together != "side by side":
        parts.append(f"{lost('side by side', together)} to doing without XLA")
    parts.append(f"{lost(together, 'two workers')} to being workers of one run: collectives and waiting")
    alone = spread([1e3 * seconds for seconds in times["all-reduce"]])
    return (
        f"{', '.join(parts)}. The two all-reduces of a step's {megabytes:.1f} MB of gradients take "
        f"{alone.text(1)} ms when nothing else runs."
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
