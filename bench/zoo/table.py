"""``python -m bench.zoo.table``: write the table of docs/methods.md, between its markers, from docs/zoo/."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from bench.contestant import ROOT
from bench.report import table
from bench.zoo import record
from bench.zoo.play import FEATURES
from bench.zoo.rows import IMAGES, ROWS, SAMPLES, Row

PAGE = ROOT / "docs" / "methods.md"
BEGIN = "<!-- zoo: written by `make zoo` -->"
END = "<!-- end of the zoo -->"
_HEAD = (
    "row", "differs by", "seeds", "FD", "precision", "recall", "classes", "sure", "copies", "collapsed",
    "images/s", "MiB", "parameters", "minutes",
)  # fmt: skip


def rendered(folder: Path = record.FOLDER, rows: Sequence[Row] = ROWS) -> str:
    """The section as the files say it."""
    there = [said for row in rows for said in _files(row, folder)]
    lines = [_line(row, _files(row, folder), rows) for row in rows]
    return "\n\n".join(filter(None, [_introduction(there), table(_HEAD, lines), _ends(there)]))


def with_table(text: str, section: str) -> str:
    """A page with the section between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"the page has no {BEGIN} and {END}"
    return f"{before}{BEGIN}\n\n{section}\n\n{END}{after}"


def _files(row: Row, folder: Path) -> list[dict[str, Any]]:
    found = [record.read(row.name, seed, folder) for seed in row.seeds]
    return [said for said in found if said]


def _introduction(there: list[dict[str, Any]]) -> str:
    text = (
        f"Every row is judged by {SAMPLES:,} samples after {IMAGES:,} images of the generator's own updates "
        "or as many as it says (a critic of five updates sees five times as many real ones); with three "
        "seeds a figure is their mean, with the lowest and the highest. *FD* is Frechet distance in the "
        "features of "
        f"{FEATURES}; precision and recall are k=3; *sure* is the share that the classifier gives p > 0.9; "
        "*copies* the median distance to the nearest training image over that of held-out images (1 is no "
        "copy)."
    )
    judged = [said for said in there if said["outcome"] == "finished" and said["features"] == FEATURES]
    if judged:
        first = judged[0]
        floor, held = first["floor"], first["held_out"]
        text += (
            f" Floors, by the same code: the training set's halves FD {floor['fd']:.2f}, precision "
            f"{floor['precision']:.2f}, recall {floor['recall']:.2f}"
        )
        if held["fd"] is not None:
            text += f"; held-out images FD {held['fd']:.2f}, precision {held['precision']:.2f}, recall "
            text += f"{held['recall']:.2f}"
        machines = "; ".join(sorted({said["machine"] for said in judged}))
        revisions = ", ".join(sorted({str(said["revision"])[:7] for said in judged}))
        text += f". On {machines}; at {revisions}."
    return text


def _line(row: Row, found: list[dict[str, Any]], rows: Sequence[Row]) -> tuple[str, ...]:
    head = (row.name, _differs(row, rows), f"{len(found)} of {len(row.seeds)}")
    old = [record.outdated(said, row.config(said["seed"]), FEATURES) for said in found]
    if not found or any(old):
        return (*head, next(filter(None, old), "not run"), *[""] * (len(_HEAD) - len(head) - 1))
    judged = [said for said in found if said["outcome"] == "finished"]
    wanted = (("fd", 2), ("precision", 2), ("recall", 2), ("classes", 0), ("sure", 2), ("copies", 2))
    figures = [_spread([said[name] for said in judged], digits) for name, digits in wanted]
    collapsed = sum(bool(said["collapsed"]) for said in found)
    speed = _spread([said["images_per_second"] for said in found], 0)
    size = found[0]["parameters"]
    return (
        *head,
        *figures,
        str(collapsed),
        speed,
        str(max(said["peak_memory_mib"] for said in found)),
        f"{size['generator']:,} + {size['discriminator']:,}",
        _spread([said["minutes"] for said in found], 1),
    )


def _differs(row: Row, rows: Sequence[Row]) -> str:
    """What it has beside a row before it, and how long it is if not as long as all.

    Beside the first whose values it has all, else beside the first of its preset.
    """
    longer = f", {row.images:,} images" if row.images != IMAGES else ""
    before = [each for each in rows[: rows.index(row)] if each.preset == row.preset]
    if not before or not row.overrides:
        more = f", {len(row.overrides)} values of its own" if row.overrides else ""
        return f"preset `{row.preset}`{more}{longer}"
    base = next((each for each in before if {*each.overrides} <= {*row.overrides}), before[0])
    return " ".join(f"`{word}`" for word in row.overrides if word not in base.overrides) + longer


def _spread(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "unknown"
    text = f"{mean(known):.{digits}f}"
    if len(known) == 1 or min(known) == max(known):
        return text
    return f"{text} ({min(known):.{digits}f} to {max(known):.{digits}f})"


def _ends(there: list[dict[str, Any]]) -> str:
    """Those that did not come to a figure, and why."""
    return "\n".join(
        f"- {said['row']}, seed {said['seed']}: {said['outcome']}: {said['why']}"
        for said in there
        if said["outcome"] != "finished"
    )


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), rendered()), encoding="utf-8")


if __name__ == "__main__":
    main()
