"""``python bench/gpu.py [--toy] [--seconds N] --out DIR``: ask one GPU everything, what is worth most first.

From the project's root, which need not be installed. DIR/gpu.json and DIR/gpu.md are written after each row.
What did not fit into the seconds is "no time" and no failure; what fails is named at the end: exit code 1.
``--toy`` goes through every line on a CPU, with networks too small for its figures to mean anything.
"""

import argparse
import json
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))  # a script finds its own folder there

from bench.on_gpu import plan  # noqa: E402
from bench.on_gpu.group import FAILED, MEASURED  # noqa: E402
from bench.on_gpu.referee import Referee  # noqa: E402
from bench.report import table  # noqa: E402

_SECONDS = 330.0


class Page:
    """Both files, written anew with each row."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self._folder, self._about = folder, about
        self.rows: list[dict[str, Any]] = []
        self._write()

    def add(self, row: dict[str, Any]) -> None:
        """One more row, which is printed too."""
        self.rows.append(row)
        self._write()
        print(f"{row['status']:<9} {row['row']}: {_figures(row)}", flush=True)

    def _write(self) -> None:
        content = json.dumps({**self._about, "rows": self.rows}, indent=2)
        lines = [(row["row"], row["status"], _figures(row)) for row in self.rows]
        page = f"{table(('row', '', 'figures'), lines)}\n"
        for name, text in (("gpu.json", content), ("gpu.md", page)):
            new = self._folder / f"{name}.new"
            new.write_text(text, encoding="utf-8")
            new.replace(self._folder / name)


def main() -> int:
    """Measure; the exit code."""
    options = _options()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        about = {"began": datetime.now(UTC).isoformat(timespec="seconds"), "toy": options.toy}
        page = Page(options.out, {**about, "seconds": options.seconds})
    except OSError as error:
        print(f"error: --out {options.out}: {error.strerror}, expected a folder to write to", file=sys.stderr)
        return 2
    referee = Referee(options.seconds, page.add)
    with tempfile.TemporaryDirectory(prefix="gantry-gpu-") as scratch:
        wanted = plan.Plan(options.toy, scratch, options.torch_python, options.jax_python)
        referee.play(plan.groups(wanted))
    return _judge(page.rows)


def _judge(rows: list[dict[str, Any]]) -> int:
    failed = [row["row"] for row in rows if row["status"] == FAILED]
    measured = sum(row["status"] == MEASURED for row in rows)
    print(f"{measured} of {len(rows)} rows measured", flush=True)
    if failed:
        print(f"error: failed: {'; '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _figures(row: dict[str, Any]) -> str:
    """A row's figures in one line."""
    words = []
    for name, value in row.items():
        if name in ("row", "status", "seconds"):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        words.append(f"{name.replace('_', ' ')} {text}".replace("|", "/"))
    return "; ".join(words)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python bench/gpu.py", description=__doc__)
    parser.add_argument(
        "--toy", action="store_true", help="every line of it on a CPU; no figure means anything"
    )
    parser.add_argument("--seconds", type=_seconds, default=_SECONDS, help="for all rows together")
    parser.add_argument("--out", type=Path, required=True, help="folder for gpu.json and gpu.md")
    parser.add_argument("--torch-python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--jax-python", default=sys.executable, help="a Python that has JAX and Optax")
    return parser.parse_args()


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"'{text}', expected a number of seconds")
    return value


if __name__ == "__main__":
    for ending in (signal.SIGINT, signal.SIGTERM):  # whatever was started goes too
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
