"""The commands of README.md, block by block."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

_README = Path(__file__).parents[2] / "README.md"
_ELSEWHERE = ("$IMAGE", "$(")  # commands about a cluster


def blocks(*, cluster: bool) -> list[str]:
    """The blocks of commands about a cluster, or the others, in their order."""
    found = re.findall(r"^```sh\n(.*?)^```$", _README.read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in found if any(word in block for word in _ELSEWHERE) == cluster]


def paste(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run commands in a shell that stops at the first that fails, which none may; all that was printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-x"],
        input=script,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
