"""README.md's blocks of commands, pasted one after another into a shell."""

import os
import re
import sys
from pathlib import Path

from tests.support.readme import blocks, paste

README = Path(__file__).parents[1] / "README.md"


def test_every_block_can_be_pasted(tmp_path):
    (tmp_path / ".venv").symlink_to(sys.prefix)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GANTRY_")}
    environment |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "KUBECONFIG": str(tmp_path / "none")}
    script = "\n".join(blocks(cluster=False))
    paste(script, tmp_path, environment)
    made = {"learning.gif", "both.svg", "first.html", "sweep.yaml", "grid.png", "way.png", "examples.png"}
    assert made <= {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "out/samples/150.png").exists()
    for run in ("gan/first", "gan/second", "gan/lr-1", "gan/lr-2", "digits/first"):
        assert '"state": "finished"' in (tmp_path / "runs" / run / "status.json").read_text()


def test_no_command_stands_in_a_block_that_nothing_runs():
    fences = re.split(r"^```", README.read_text(), flags=re.MULTILINE)
    lines = [line for block in fences[1::2] if block.startswith("\n") for line in block.splitlines()]
    commands = [line for line in lines if re.match(r"(?:\$ )?(?:launcher|python|kubectl|pip) ", line)]
    assert commands == []
