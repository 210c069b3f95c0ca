"""What a step carries beside the game: the order of images, the look for NaN and the sums of a line."""

from statistics import median

from bench.contestant import Group
from bench.report import Goal, Section, table
from bench.rounds import Turn, play, ready, spread
from bench.setting import Setting

_BATCHES = (64, 512)
_SIZES = (1_000, 5_000, 60_000, 1_000_000, 100_000_000)
_TEXT = (
    "Preset `mlp`, one process, two threads, each part run by itself and divided by a step of a call of 50. "
    "*Order* is computed on a thread of its own, ahead of the steps; *looking* is once a call, for NaN and "
    "Inf in losses, weights and moments; *sums* are those of a line of metrics."
)


def added(setting: Setting) -> Section:
    """Both batches, and the order against the set's size."""
    contestants = {batch: setting.gantry("mlp", batch, "--parts") for batch in _BATCHES}
    turns = {}
    with ready({str(batch): it for batch, it in contestants.items()}):
        for batch, it in contestants.items():
            for part, full in (("run", 50), ("order", 2000), ("look", 20), ("sums", 500)):
                turns[f"{part} {batch}"] = Turn(Group([it], part), setting.amount(full, 5))
        for size in _SIZES:
            turns[f"{size:,}"] = Turn(Group([contestants[64]], f"order{size}"), setting.amount(5000, 20))
        times = play(turns, setting.amount(7, 2))
    rows, goals = [], []
    for batch in _BATCHES:
        step, order, look, sums = (
            1e3 * median(times[f"{part} {batch}"]) for part in ("run", "order", "look", "sums")
        )
        share = (order + look / 50 + sums) / step
        rows.append((batch, *(f"{each:.3f}" for each in (step, order, look / 50, sums)), f"{share:.1%}"))
        goals.append(
            Goal(
                f"`mlp`, batch {batch}: order, looking for NaN and sums together, of a step",
                "at most 3 %",
                f"{share:.1%}",
                share <= 0.03,
                f"Of {step:.1f} ms a step order is {order:.3f}, looking {look / 50:.3f}, sums {sums:.3f}.",
            )
        )
    first = table(("batch", "ms a step", "order", "looking", "sums", "together"), rows)
    per_image = [
        (name, spread([1e6 * seconds / 64 for seconds in times[name]]).text())
        for name in (f"{size:,}" for size in _SIZES)
    ]
    second = table(("images in the set", "µs an image for the order"), per_image)
    return Section("What a step carries", _TEXT, goals, [first, second])
