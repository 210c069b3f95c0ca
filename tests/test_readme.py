"""README.md shows no command that nothing runs; tests/cluster/test_readme.py pastes its blocks."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_no_command_stands_in_a_block_that_nothing_runs():
    fences = re.split(r"^```", README.read_text(), flags=re.MULTILINE)
    lines = [line for block in fences[1::2] if block.startswith("\n") for line in block.splitlines()]
    commands = [line for line in lines if re.match(r"(?:\$ )?(?:launcher|python|kubectl|pip) ", line)]
    assert commands == []
