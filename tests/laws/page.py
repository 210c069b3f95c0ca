"""``python -m tests.laws.page``: every pair of parts, played, as docs/laws.md on stdout."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.laws.cases import KINDS, everything, pairs, pairwise

# Rounding of float32. Adam moves a weight by its rate whatever the size of its gradient, and where noise
# turns a LeakyReLU around, a gradient jumps: so gradients are compared after one step, lines after three.
LINE, GRADIENTS = 1e-3, 1e-3
# Each replica's gradients are rounded to the narrow type, of 8 and of 11 bits, before they are summed: by so
# many times as much.
NARROW = {"bfloat16": 200.0, "float16": 30.0}


def upholds(said: dict) -> bool:
    """Whether a combination did as every method promises."""
    more = NARROW.get(said["case"]["option"], 1.0)
    return bool(
        "error" not in said
        and said["resumed"]
        and said["finite"]
        and said["line"] < more * LINE
        and said["gradients"] < more * GRADIENTS
    )


def main() -> int:
    """Play all, print the page; 1 where one did not hold."""
    cases = pairwise()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cases.json"
        file.write_text(json.dumps(cases))
        done = subprocess.run(
            [sys.executable, "-m", "tests.laws.play", str(file)],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    print(_head(cases))
    for said in lines:
        print(_row(said))
    bad = [said for said in lines if not upholds(said)]
    for said in bad:
        print(said.get("error", said), file=sys.stderr)
    return 1 if bad or len(lines) < len(cases) else 0


def _head(cases: list[dict]) -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    revision = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    shown = len(set().union(*(pairs(case) for case in everything())))
    return (
        "# Laws of the methods\n\n"
        f"`make laws` at {revision} on {os.cpu_count()} cores, Python {platform.python_version()}: "
        f"{len(cases)} combinations, in which all {shown} pairs of parts come that go together. Each takes "
        "three steps on one replica and on two, and on one with a resume after the second.\n\n"
        "*line* is the largest relative difference of a metric between one and two replicas (at most "
        f"{LINE:g}), *gradients* that of Adam's first moments after one step (at most {GRADIENTS:g}; both "
        f"{NARROW['bfloat16']:g} times as much in bfloat16 and {NARROW['float16']:g} in float16), "
        "*resumed* whether the resumed run has the same bits.\n\n"
        f"| {' | '.join(KINDS)} | line | gradients | resumed |\n|{'---|' * (len(KINDS) + 3)}"
    )


def _row(said: dict) -> str:
    found = " | ".join(said["case"][kind] for kind in KINDS)
    if "error" in said:
        return f"| {found} | failed | | |"
    mark = "" if upholds(said) else " **no**"
    resumed = "yes" if said["resumed"] else "no"
    return f"| {found} | {said['line']:.1e} | {said['gradients']:.1e} | {resumed}{mark} |"


if __name__ == "__main__":
    sys.exit(main())
