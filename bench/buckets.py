"""A storage server of the benchmark's own, and a bucket with thousands of runs that have ended."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.gcs import GcsServer
from trainer.config import resolve
from trainer.run import layout

EXPERIMENT, SCHEDULE = "gan", "nightly"
_FIGURES = ("d_loss", "d_loss_real", "d_loss_fake", "g_loss", "d_accuracy_real", "d_accuracy_fake")


@contextmanager
def bucket(data: Path | None = None) -> Iterator[str]:
    """The address of a root in a bucket that clients find by the environment; `data` is what `past` wrote."""
    from google.cloud import storage

    server = GcsServer(data)
    server.start()
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    os.environ["STORAGE_EMULATOR_HOST"] = server.url
    try:
        if data is None:
            storage.Client(project="bench").create_bucket("bench")
        yield "gs://bench/root"
    finally:
        os.environ.pop("STORAGE_EMULATOR_HOST")
        if before is not None:
            os.environ["STORAGE_EMULATOR_HOST"] = before
        server.stop()


def past(folder: Path, count: int) -> Path:
    """Write so many runs that have ended, nine of ten of them a schedule's; the folder for `bucket`."""
    config, first = resolve("mlp").model_dump(mode="json"), datetime(2025, 1, 1, tzinfo=UTC)
    for number in range(count):
        when = first + timedelta(hours=number)
        place = folder / "bench" / "root" / EXPERIMENT / f"{SCHEDULE}-{when:%Y%m%d-%H%M}"
        _write(place / layout.RUN, _begun(config, when, scheduled=number % 10 != 0))
        _write(place / layout.RESULT, _ended(config, when, number))
    return folder


def _begun(config: Mapping[str, Any], when: datetime, *, scheduled: bool) -> dict[str, Any]:
    return {
        "format": layout.FORMAT,
        "created": when.isoformat(),
        "preset": "mlp",
        "world_size": 2,
        "image": "reg/gantry:1",
        "backend": "kubernetes",
        "config": config,
        "overrides": [],
        "schedule": SCHEDULE if scheduled else None,
        "scheduled": when.isoformat() if scheduled else None,
    }


def _ended(config: Mapping[str, Any], when: datetime, number: int) -> dict[str, Any]:
    figures = dict.fromkeys(_FIGURES, 1 / (number + 2))
    return {
        "format": layout.FORMAT,
        "state": "finished",
        "steps": config["steps"],
        "finished": (when + timedelta(minutes=20)).isoformat(),
        "metrics": {"step": config["steps"], **figures, "images_per_second": 1e3},
    }


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")
