"""``python -m tests.pythons``: the tests of tests/pure.txt on every Python that is promised and lies here.

Each gets an environment of its own, `.venv-3.12` say, with the packages of requirements/check.txt: no
TensorFlow. The Python that this runs on is left to `make test`, which has these tests too. One that the
machine has not is said and fails nothing.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
LOCK = REPOSITORY / "requirements" / "check.txt"
PROJECT = REPOSITORY / "pyproject.toml"
LANE = ("-q", "-n", "2", "--durations=0", "--durations-min=5", "@tests/pure.txt")
_ASKED = "import ensurepip, platform, venv; print(platform.python_version())"


class Found(NamedTuple):
    """A Python of this machine that can make an environment."""

    program: Path
    version: str
    """``3.12.1``."""


def promised() -> list[str]:
    """The minor versions that pyproject.toml admits: ``3.11`` and so on."""
    admitted = tomllib.loads(PROJECT.read_text())["project"]["requires-python"]
    first, end = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", admitted).groups())
    return [f"3.{minor}" for minor in range(first, end)]


def find(minor: str) -> Found | None:
    """The first that works of those on PATH and those that pyenv installed, the newest of these first."""
    for program in _candidates(minor):
        # A shim of pyenv's is there for versions that are not in use, and Debian's may have no ensurepip.
        told = subprocess.run([program, "-c", _ASKED], capture_output=True, text=True, check=False)
        version = told.stdout.strip()
        if told.returncode == 0 and version.startswith(f"{minor}."):
            return Found(program, version)
    return None


def _candidates(minor: str) -> Iterator[Path]:
    for folder in os.get_exec_path():
        if named := shutil.which(f"python{minor}", path=folder):
            yield Path(named)
    versions = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    installed = versions.glob(f"{minor}.*/bin/python{minor}")
    yield from sorted(
        installed, key=lambda path: [*map(int, re.findall(r"\d+", path.parts[-3]))], reverse=True
    )


def environment(minor: str, found: Found) -> Path:
    """The Python of its environment, which is made when there is none of these packages.

    Raises:
        subprocess.CalledProcessError: that failed, and what was printed says why.
    """
    folder = REPOSITORY / f".venv-{minor}"
    stamp, python = folder / "check", folder / "bin" / "python"
    key = hashlib.sha256(f"{found}".encode() + LOCK.read_bytes() + PROJECT.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == key:
        return python
    print(f"{minor}: installing requirements/check.txt into {folder.name}", flush=True)
    subprocess.run([found.program, "-m", "venv", "--clear", folder], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    if uv := shutil.which("uv"):
        pip = [uv, "pip", "install", "--quiet", "--python", python]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", LOCK], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", REPOSITORY], check=True)
    stamp.write_text(key)
    return python


def lane(python: Path, *arguments: str) -> tuple[bool, str]:
    """Run pytest in the repository: whether all passed, and its last line; the rest is printed if not."""
    argv = [python, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=REPOSITORY, check=False
    )
    if done.returncode:
        print(done.stdout, flush=True)
    told = done.stdout.strip().splitlines() or [""]
    return done.returncode == 0, told[-1].strip("= ")


def main() -> int:
    """Run them one after another and tell of each; 1 if one failed."""
    own, lines, failed = f"{sys.version_info.major}.{sys.version_info.minor}", [], False
    for minor in promised():
        if minor == own:
            lines.append(f"{minor}: the Python of make test, which has these tests too")
        elif found := find(minor):
            python = environment(minor, found)
            print(f"{minor}: running {LANE[-1]} on {found.version}", flush=True)
            passed, told = lane(python, *LANE)
            failed |= not passed
            lines.append(f"{minor}: {found.version}, {told}")
        else:
            lines.append(f"{minor}: not here: not run")
    print("\n".join(lines))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
