"""The commands of README.md, block by block."""

import re
from pathlib import Path

_README = Path(__file__).parents[2] / "README.md"
_ELSEWHERE = ("$IMAGE", "$(")  # commands about a cluster


def blocks(*, cluster: bool) -> list[str]:
    """The blocks of commands about a cluster, or the others, in their order."""
    found = re.findall(r"^```sh\n(.*?)^```$", _README.read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in found if any(word in block for word in _ELSEWHERE) == cluster]
