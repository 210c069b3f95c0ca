"""The Python of a page, all its blocks as one program: ``python -m tests.support.pages docs/python.md``."""

import re
import sys
from pathlib import Path


def program(page: Path) -> str:
    """The page's blocks of Python, in their order, each at its own lines."""
    lines = page.read_text().splitlines()
    inside, kept = False, list[str]()
    for line in lines:
        fence = re.match(r"```(\w*)", line)
        kept.append(line if inside and not fence else "")
        if fence:
            inside = fence[1] == "python"
    return "\n".join(kept) + "\n"


if __name__ == "__main__":
    sys.stdout.write(program(Path(sys.argv[1])))
