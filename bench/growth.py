"""What grows: speed against the batch, and against the size of the data set."""

from bench.contestant import Contestant, Group
from bench.report import Section, table
from bench.rounds import Turn, play, ratios, ready
from bench.setting import Setting, speed_row

_BATCHES = (16, 32, 64, 128, 256, 512, 1024)
_SIZES = (5_000, 50_000, 500_000)


def growth(setting: Setting) -> Section:
    """Both tables, for the plain GAN."""
    text = (
        "Preset `mlp`, one process, two threads. Sets larger than 5,000 are made of the same digits, "
        "moved by "
        "up to two pixels; a set lies in memory whole, so memory grows with it and the time of a step "
        "must not."
    )
    return Section("What grows with what", text, tables=[_batches(setting), _sizes(setting)])


def _batches(setting: Setting) -> str:
    contestants = {str(batch): setting.gantry("mlp", batch) for batch in _BATCHES}
    full = {batch: max(6, min(50, 6400 // batch)) for batch in _BATCHES}
    steps = {str(batch): setting.amount(count, 3) for batch, count in full.items()}
    with ready(contestants):
        times = _play(setting, contestants, steps)
    rows = [speed_row(name, times, it.peak_mib, int(name)) for name, it in contestants.items()]
    return table(("batch", "ms a step", "images/s", "peak memory"), rows)


def _sizes(setting: Setting) -> str:
    sizes = _SIZES[: setting.amount(3, 2)]
    contestants = {f"{size:,}": setting.gantry("mlp", 64, "--images", size) for size in sizes}
    with ready(contestants):
        times = _play(setting, contestants, dict.fromkeys(contestants, setting.amount(100, 5)))
    first = next(iter(times))
    rows = [
        (*speed_row(name, times, it.peak_mib, 64), ratios(times[first], times[name]).text())
        for name, it in contestants.items()
    ]
    return table(
        ("images in the set", "ms a step", "images/s", "peak memory", f"speed against {first}"), rows
    )


def _play(
    setting: Setting, contestants: dict[str, Contestant], steps: dict[str, int]
) -> dict[str, list[float]]:
    turns = {name: Turn(Group([it]), steps[name]) for name, it in contestants.items()}
    return play(turns, setting.amount(5, 2))
