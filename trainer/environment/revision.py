"""Which revision of our source runs, and whether it is quite that one."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_OWN = "environment/revision.py"  # this file, in the package
_SECONDS = 5.0  # for git, which may have to read a large index
_OURS = re.compile(r'^name = "gantry"$', re.MULTILINE)
DIRTY = "-dirty"
"""End of a revision beside which the trainer's source has uncommitted changes, as ``git describe`` has it."""


def revision(environ: Mapping[str, str], package: Path = _PACKAGE) -> str | None:
    """Revision of the source that runs, as the image says or git; None for an installed wheel.

    A folder may lie in the repository of a project with its virtual environment, say: git is
    believed only where the repository is the package's own.
    """
    stated = environ.get("GANTRY_GIT_REVISION", "")
    if stated not in ("", "unknown"):
        return stated
    if not _is_ours(package, environ):
        return None
    found = _git(package, environ, "rev-parse", "HEAD")
    changed = _git(package, environ, "status", "--porcelain", "--", ".")
    return f"{found}{DIRTY if changed else ''}" if found else None


def _is_ours(package: Path, environ: Mapping[str, str]) -> bool:
    """Whether the package lies at the top of a repository that keeps it, under the name of this project."""
    top = _git(package, environ, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != package.parent:
        return False
    try:
        named = _OURS.search((package.parent / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(named and _git(package, environ, "ls-files", "--", _OWN))


def _git(folder: Path, environ: Mapping[str, str], *words: str) -> str:
    """What git says of a folder, empty where it cannot be asked; GIT_DIR and the like are for another one."""
    own = {key: value for key, value in environ.items() if not key.startswith("GIT_")}
    own["GIT_OPTIONAL_LOCKS"] = "0"  # nothing is written, not even a fresher index
    command = ["git", "-C", os.fspath(folder), *words]
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS, env=own, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
