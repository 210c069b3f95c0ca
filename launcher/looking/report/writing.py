"""The file of a report: whole or not at all, and never over something that is no report."""

from dataclasses import dataclass
from pathlib import Path

from launcher.errors import SpecError
from launcher.local_file import write_file
from launcher.looking.report.material import gather
from launcher.looking.report.page import GENERATOR, render
from launcher.looking.views import beside, write_view
from launcher.runs.find import Place, find

NAME = "report.html"  # beside a run on this disk
_HEAD_BYTES = 4096  # the line that says what made a report is among these


@dataclass(frozen=True)
class Written:
    """A report that was written."""

    path: str
    bytes: int
    grids: int
    """Grids in it."""
    grids_of_run: int


def write_report(where: Place | str, run: str, out: Path | None = None) -> Written:
    """Write a run's report: where `out` says, else to ``views/report.html`` in the run's folder.

    Raises:
        NoSuchRun: there is no run of that name.
        UserError: it cannot be written there, or a file is there that is no report; of a run in a bucket
            `out` is None.
    """
    path = out if out is not None else _beside(where, run)
    said = f"{'' if out is None else '--out '}{path}"
    _check(path, said)
    if out is not None and not path.parent.is_dir():
        raise SpecError(f"{said}: expected a file in a folder that exists, there is no {path.parent}")
    material = gather(where, run)
    _check(path, said)  # again: that took a while
    content = render(material).encode()
    if out is None:
        write_view(path, content)
    else:
        write_file("--out", path, content)
    return Written(str(path), len(content), len(material.grids.shown), material.grids.in_run)


def _beside(where: Place | str, run: str) -> Path:
    """Where the report of a run on this disk is.

    Raises:
        SpecError: the run is in a bucket.
    """
    found = find(where if isinstance(where, Place) else Place(root=where), run)
    path = beside(found.path, NAME)
    if path is None:
        raise SpecError(f"--out: expected a file for the report, as run '{run}' is in {found.store.url}")
    return path


def _check(path: Path, said: str) -> None:
    """Refuse what is there and no report; `said` is how the path was named."""
    if path.is_dir():
        raise SpecError(f"{said}: expected the name of a file, it is a folder")
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise SpecError(f"{said}: expected an older report, it cannot be read ({error.strerror})") from None
    if GENERATOR.encode() not in head:
        raise SpecError(f"{said}: expected no such file or an older report, it is something else")
