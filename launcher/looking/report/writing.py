"""The file of a report: whole or not at all, and never over something that is no report."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import SpecError
from launcher.looking.report.material import gather
from launcher.looking.report.page import GENERATOR, render
from launcher.runs.find import Place

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
    """Write a run's report; the file ``<run>.html`` here unless `out` names another.

    Raises:
        NoSuchRun: there is no run of that name.
        UserError: `out` cannot be written, or is a file that is no report.
    """
    if out is not None:
        _check(out)
    material = gather(where, run)
    path = out or Path(f"{material.status.run}.html")
    _check(path)
    content = render(material).encode()
    _replace(path, content)
    return Written(str(path), len(content), len(material.grids.shown), material.grids.in_run)


def _check(path: Path) -> None:
    """Refuse a path before anything is read for it."""
    if path.is_dir():
        raise SpecError(f"--out {path}: expected the name of a file, it is a folder")
    if not path.parent.is_dir():
        raise SpecError(f"--out {path}: expected a file in a folder that exists, there is no {path.parent}")
    if path.exists():
        with path.open("rb") as file:
            if GENERATOR.encode() not in file.read(_HEAD_BYTES):
                raise SpecError(
                    f"--out {path}: expected no such file or an older report, it is something else"
                )


def _replace(path: Path, content: bytes) -> None:
    """Put a file in place with its last byte."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
            try:
                file.write(content)
                file.close()
                Path(file.name).chmod(0o666 & ~_umask())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise SpecError(f"--out {path}: expected a file that can be written ({error.strerror})") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
