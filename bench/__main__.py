"""``python -m bench``: run every part, write the page."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError

from bench import report
from bench.added import added
from bench.contestant import ROOT, ContestantFailed
from bench.download import download
from bench.growth import growth
from bench.history import history
from bench.launching import launching
from bench.methods import methods
from bench.recovery import recovery
from bench.report import Section
from bench.scale import scale
from bench.setting import Foreign, Setting
from bench.single import dcgan, dcgan_r1, mlp
from bench.stall import stall
from bench.transport import transport
from bench.workers import workers

_PARTS: dict[str, Callable[[Setting], Section]] = {
    "mlp": mlp,
    "added": added,
    "dcgan": dcgan,
    "workers": workers,
    "stall": stall,
    "growth": growth,
    "recovery": recovery,
    "download": download,
    "transport": transport,
    "launching": launching,
    "scale": scale,
    "history": history,
    "methods": methods,
    "r1": dcgan_r1,
}
# These have pages of their own: what a workstation waits for, measured inside a cluster, and what parts cost.
_ELSEWHERE = ("download", "transport", "launching", "scale", "history", "methods", "r1")
_TRAINING = [name for name in _PARTS if name not in _ELSEWHERE]


def main() -> None:
    """Measure what was asked for; a part that fails is reported and does not stop the others."""
    options = _options()
    start, sections = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as scratch:
        torch = Foreign.find(options.torch_python, "torch")
        jax = Foreign.find(options.jax_python, "jax", "optax")
        setting = Setting(options.quick, torch, jax, Path(scratch))
        for name in options.only:
            print(f"{time.monotonic() - start:5.0f} s  {name}", file=sys.stderr, flush=True)
            try:
                sections.append(_PARTS[name](setting))
            except (ContestantFailed, CalledProcessError) as failure:
                sections.append(Section(name, f"Could not be measured: {failure}"))
    minutes = (time.monotonic() - start) / 60
    notes = report.notes_of(options.out)
    text = report.page(sections, quick=options.quick, others=setting.others, minutes=minutes, notes=notes)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", type=_parts, default=_TRAINING, help=f"comma-separated parts of {', '.join(_PARTS)}"
    )
    parser.add_argument("--quick", action="store_true", help="few steps and rounds: does it run at all?")
    parser.add_argument("--torch-python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--jax-python", default=sys.executable, help="a Python that has JAX and Optax")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md", help="page to write")
    return parser.parse_args()


def _parts(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in _PARTS:
            raise argparse.ArgumentTypeError(f"there is no part '{name}'; parts are {', '.join(_PARTS)}")
    return names


if __name__ == "__main__":
    main()
