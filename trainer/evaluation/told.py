"""An evaluation as text for people and as JSON for scripts."""

from typing import Any

from trainer.evaluation.evaluate import Copies, Evaluation
from trainer.evaluation.figures import METRICS
from trainer.evaluation.judge import Figure


def as_json(found: Evaluation) -> dict[str, Any]:
    """Every figure by its metric, each with its floors, count, features and reference."""
    return {
        "run": found.run,
        "step": found.step,
        "average": found.average,
        "samples": found.samples,
        "features": found.features,
        "reference": found.reference,
        "held_out": found.held_out,
        "latents": found.latents,
        "metrics": {each.metric: _plain(found, each) for each in found.figures},
        "copies": {
            "median": found.copies.median,
            "held_out_median": found.copies.held_out_median,
            "ratio": found.copies.ratio,
            "samples": found.copies.samples,
            "held_out": found.held_out,
        },
    }


def _plain(found: Evaluation, figure: Figure) -> dict[str, Any]:
    fields = (
        "name",
        "value",
        "interval",
        "draws",
        "samples",
        "floor",
        "floor_samples",
        "at_floor",
        "held_out",
        "held_out_samples",
    )
    values = {field: getattr(figure, field) for field in fields}
    return {**values, "features": found.features, "reference": found.reference}


def as_text(found: Evaluation) -> str:
    """A line for what was judged, one for each figure, and what its columns are."""
    weights = "the average of the weights" if found.average else "the last weights"
    lines = [
        f"run         {found.run}",
        f"step        {found.step}, {weights}, {found.samples} samples{_times(found.draws)}",
        f"reference   {found.reference}",
        *([f"held out    {found.held_out}"] if found.held_out else []),
        "",
        *_table(found),
        "",
        _copies(found.copies),
        *_notes(found),
    ]
    return "\n".join(lines)


def _table(found: Evaluation) -> list[str]:
    heads = ["", "value", "of the draws", "floor", "at floor's N", *(["held out"] if found.held_out else [])]
    rows = [heads] + [
        [
            figure.name,
            _number(figure, figure.value),
            _interval(figure),
            _counted(figure, figure.floor, figure.floor_samples),
            _number(figure, figure.at_floor),
            *([_counted(figure, figure.held_out, figure.held_out_samples)] if found.held_out else []),
        ]
        for figure in found.figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(word.rjust(width) for word, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]


def _times(draws: int) -> str:
    return f", {draws} times" if draws > 1 else ""


def _interval(figure: Figure) -> str:
    if figure.interval is None:
        return "one"
    return " to ".join(_number(figure, each) for each in figure.interval)


def _counted(figure: Figure, value: float | None, samples: int) -> str:
    return "none" if value is None else f"{_number(figure, value)} (N={samples})"


def _number(figure: Figure, value: float | None) -> str:
    return "none" if value is None else f"{value:.{METRICS[figure.metric].digits}f}"


def _copies(found: Copies) -> str:
    name = f"copies[pixels, N={found.samples}]"
    head = f"{name}  median distance to the nearest training image {found.median:.1f}"
    if found.held_out_median is None:
        return f"{head} grey levels; without --held-out copying cannot be told"
    head = f"{head}, of held-out images {found.held_out_median:.1f} grey levels"
    if found.ratio is None:
        return f"{head}: those are training images, so copying cannot be told"
    return f"{head}: ratio {found.ratio:.2f}"


def _notes(found: Evaluation) -> list[str]:
    if found.figures[0].floor is None:
        return ["floor: none, as half of the reference has too few images for these figures"]
    return ["floor: half of the reference against its other half, with the same code"]
