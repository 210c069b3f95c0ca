"""The system's own program for pictures: ``open`` on a Mac, ``xdg-open`` elsewhere."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

from launcher.errors import NotInstalled, Unsupported
from trainer.errors import GantryError

_SETTLED_SECONDS = 3.0  # a viewer that is still there by then has the picture


def viewer(platform: str = sys.platform, environment: Mapping[str, str] = os.environ) -> str:
    """Program that shows a picture.

    Raises:
        Unsupported: there is no display.
        NotInstalled: there is a display and no such program.
    """
    mac = platform == "darwin"
    if not mac and not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        raise Unsupported(
            "--open: there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set); "
            "--print draws the grid in the terminal"
        )
    name = "open" if mac else "xdg-open"
    program = shutil.which(name, path=environment.get("PATH"))
    if program is None:
        raise NotInstalled(f"--open: {name} is not installed; it comes with the package xdg-utils")
    return program


def show(program: str, path: str) -> None:
    """Show a picture and go on; the viewer outlives this command.

    Raises:
        GantryError: the program refuses.
    """
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [program, path], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    )
    try:
        code = process.wait(_SETTLED_SECONDS)
    except subprocess.TimeoutExpired:
        return
    if code:
        raise GantryError(f"--open: {program} {path} left with exit code {code}")
