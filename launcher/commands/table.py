"""A table as plain lines, as kubectl has them: 10,000 rows take a tenth of a second where rich takes ten."""

from collections.abc import Sequence


def lines(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """Columns as wide as their widest cell, those that `right` names aligned to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    aligned = [str.rjust if heading in right else str.ljust for heading in headings]
    return [
        "  ".join(
            align(cell, width) for align, cell, width in zip(aligned, row, widths, strict=True)
        ).rstrip()
        for row in (headings, *rows)
    ]
