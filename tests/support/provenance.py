"""What a page of measurements says of where it was made."""

import os
import platform
import subprocess
from datetime import UTC, datetime


def revision() -> str:
    """The commit, ``-dirty`` where the tree is another."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


def machine() -> str:
    """Cores, Python and system."""
    cores, python = os.cpu_count(), platform.python_version()
    return f"{cores} cores, Python {python}, {platform.system()} {platform.release()}"


def stamp() -> str:
    """Revision, day (UTC) and machine, as a sentence without its full stop."""
    return f"Revision {revision()}, {datetime.now(UTC):%Y-%m-%d}, {machine()}"
