"""The kubectl of this machine, or the one that ``make test-cluster`` built."""

import os
import shutil
from pathlib import Path

import pytest


def _find() -> str | None:
    cache = Path(os.environ.get("GANTRY_CACHE") or "~/.cache/gantry").expanduser()
    built = sorted(cache.glob("*/kubectl")) if cache.is_dir() else []
    return os.environ.get("KUBECTL") or (str(built[-1]) if built else shutil.which("kubectl"))


KUBECTL = _find()
needs_kubectl = pytest.mark.skipif(
    KUBECTL is None, reason="there is no kubectl: make test-cluster builds one, and runs these tests too"
)
