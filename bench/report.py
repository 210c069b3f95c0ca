"""What was measured, as Markdown."""

import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from bench.contestant import usable_cpus

_NOTES_BEGIN = "<!-- notes: written by hand, kept when this page is generated anew -->"
_NOTES_END = "<!-- end of notes -->"


@dataclass(frozen=True)
class Goal:
    """One figure that was asked for."""

    what: str
    wanted: str
    measured: str
    met: bool | None
    """None when it could not be measured."""
    why: str = ""
    """What holds it back, from the same measurement; printed when it is not met."""


@dataclass
class Section:
    """One part of the page."""

    title: str
    text: str
    goals: list[Goal] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, numbers as given."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def page(
    sections: Sequence[Section], *, quick: bool, others: Mapping[str, str], minutes: float, notes: str
) -> str:
    """The whole of docs/benchmarks.md."""
    goals = [goal for section in sections for goal in section.goals]
    parts = ["# Benchmarks", _introduction(quick, minutes), _machine(others)]
    if goals:
        words = {True: "yes", False: "**no**", None: "not measured"}
        rows = [(goal.what, goal.wanted, goal.measured, words[goal.met]) for goal in goals]
        parts += ["## Goals", table(("what", "goal", "measured", "met"), rows)]
    missed = [goal for goal in goals if goal.met is False]
    if missed:
        parts += ["## What holds the others back", *(f"**{goal.what}.** {goal.why}" for goal in missed)]
    parts += [_NOTES_BEGIN, notes, _NOTES_END] if notes else [_NOTES_BEGIN, _NOTES_END]
    for section in sections:
        parts += [f"## {section.title}", section.text, *section.tables]
    return "\n\n".join(part for part in parts if part) + "\n"


def notes_of(path: Path) -> str:
    """The part of an existing page that was written by hand."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    _, begin, rest = text.partition(_NOTES_BEGIN)
    return rest.partition(_NOTES_END)[0].strip() if begin else ""


def _introduction(quick: bool, minutes: float) -> str:
    text = (
        f"Written by `{shlex.join(['python', '-m', 'bench', *sys.argv[1:]])}` (`make bench`) on "
        f"{date.today()} "
        f"in {minutes:.0f} minutes. Contestants live in processes of their own and take turns in rounds; a "
        "ratio is the median of the ratios within each round, with the lowest and the highest in brackets. "
        "Nothing fails when a figure misses its goal."
    )
    return (
        f"**A quick run: too few steps and rounds for its figures to mean much.**\n\n{text}"
        if quick
        else text
    )


def _machine(others: Mapping[str, str]) -> str:
    tensorflow = _version("tensorflow") or _version("tensorflow-cpu")
    versions = {
        "Python": platform.python_version(),
        "TensorFlow": tensorflow,
        "Keras": _version("keras"),
        "NumPy": _version("numpy"),
        **others,
    }
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    rows = [
        ("processor", f"{processor()}, {len(usable_cpus())} cores usable"),
        ("memory", _memory()),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("load at the end", f"{load} (one busy core counts 1; the run itself is up to 2)"),
    ]
    return table(("machine", ""), rows)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Its name, as the kernel says it."""
    return _field("/proc/cpuinfo", "model name") or platform.processor() or "unknown"


def _memory() -> str:
    found = _field("/proc/meminfo", "MemTotal")
    return f"{int(found.split()[0]) / 2**20:.0f} GiB" if found else "unknown"


def _field(path: str, name: str) -> str | None:
    """A line's value in one of the kernel's ``name : value`` files."""
    if not Path(path).exists():
        return None
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
