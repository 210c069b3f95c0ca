"""What this machine needs for a launcher and for runs of its own."""

import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from launcher.diagnosis.doctor.base import FAIL, OK, WARN, Check, Result, Subject
from trainer.config import resolve
from trainer.networks.sizes import sizes

_OLDEST, _TOO_NEW = (3, 11), (3, 14)
_BROKEN_CLIENTS = ("36.0.0", "36.0.1", "36.0.2")  # of kubernetes: following a log breaks
_CHECKPOINTS = 3  # that a run keeps, and may have on its way


def python(subject: Subject) -> Result:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    hidden = [name for name in ("trainer", "launcher") if _is_hidden(name)]
    if hidden:
        which = " and ".join(f"{name}/" for name in hidden)
        text = f"{version}; `python -m {hidden[0]}` runs the {which} of this folder, not Gantry's"
        return Result("python", WARN, text, f"python -P -m {hidden[0]}")
    if _OLDEST <= sys.version_info[:2] < _TOO_NEW:
        return Result("python", OK, version)
    return Result("python", FAIL, f"{version}, expected 3.11 to 3.13", "make PYTHON=python3.12 demo")


def packages(subject: Subject) -> Result:
    """What the extra `launcher` brings."""
    lacking = [name for name in ("cronsim", "jsonpatch", "kubernetes", "psutil") if not _version(name)]
    if lacking:
        return Result(
            "packages", FAIL, f"{', '.join(lacking)} not installed", "pip install 'gantry[launcher]'"
        )
    client = _version("kubernetes")
    if client in _BROKEN_CLIENTS:
        return Result(
            "packages", FAIL, f"kubernetes {client} cannot follow logs", "pip install 'kubernetes>=37.0.2'"
        )
    return Result("packages", OK, f"kubernetes {client}")


def tensorflow(subject: Subject) -> Result:
    """What workers on this machine run."""
    found = [(name, version) for name in ("tensorflow", "tensorflow-cpu") if (version := _version(name))]
    if found:
        return Result("tensorflow", OK, f"{found[0][0]} {found[0][1]}, for runs on this machine")
    level = FAIL if subject.local else WARN
    return Result(
        "tensorflow",
        level,
        "not installed: runs on this machine cannot train",
        "pip install 'gantry[trainer]'",
    )


def disk(subject: Subject) -> Result:
    """Room for a run's checkpoints where runs are kept, and for one on its way to a bucket."""
    size = sizes(resolve(subject.spec.preset, subject.spec.overrides)).checkpoint_bytes
    places = {Path(tempfile.gettempdir()): size}
    if not subject.bucket:
        folder = Path(subject.root).absolute()
        while not folder.exists():
            folder = folder.parent
        places[folder] = _CHECKPOINTS * size
    for place, needed in places.items():
        free = shutil.disk_usage(place).free
        if free < needed:
            text = f"{place} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed for checkpoints"
            return Result("disk", FAIL, text, "remove old runs with `launcher delete RUN --artifacts`")
    roomiest = min(shutil.disk_usage(place).free for place in places)
    return Result("disk", OK, f"{roomiest / 1e9:.1f} GB free, a checkpoint takes {size / 1e6:.1f} MB")


def _is_hidden(package: str) -> bool:
    """Whether the working folder has a package or module of the name that is not ours."""
    ours = Path(__file__).parents[3] / package
    there = [Path(f"{package}.py"), Path(package, "__init__.py")]
    return any(each.exists() for each in there) and Path(package).absolute() != ours


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


LOCAL = (
    Check("python", python),
    Check("packages", packages),
    Check("tensorflow", tensorflow),
    Check("disk", disk),
)
