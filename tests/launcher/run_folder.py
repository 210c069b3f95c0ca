"""The folder of a run with curves, grids and logs, as a trainer leaves it, for those who look at runs."""

import io
import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from trainer.config import resolve

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def write_run(
    folder, steps=200, every=5, state="finished", message=None, grids=8, logs=None, now=False, **record
):
    """Write a run's folder; `record` are fields of run.json.

    `now`: with grids as trainers draw them by now, enlarged, from before the first step on, beside real ones.
    """
    config = resolve("mlp", [f"steps={steps}", f"metrics.every_steps={every}"]).model_dump(mode="json")
    begun = {
        "format": 1,
        "created": CREATED.isoformat(),
        "preset": "mlp",
        "overrides": [f"steps={steps}", f"metrics.every_steps={every}"],
        "world_size": 2,
        "seed": 0,
        "versions": {"python": "3.11.7", "gantry": "0.1.0"},
        "git_revision": "0123456789abcdef",
        "config": config,
        **record,
    }
    folder = Path(folder)
    put(folder, "run.json", begun)
    lines = [line(step) for step in range(every, steps + 1, every)]
    put(
        folder,
        "status.json",
        {
            "state": state,
            "step": steps,
            "steps": steps,
            "images_per_second": 1000.0,
            "eta_seconds": 0,
            "restarts": 1,
            "message": message,
            "metrics": {key: value for key, value in lines[-1].items() if key.startswith(("d_", "g_"))},
            "updated": (CREATED + timedelta(minutes=5)).isoformat(),
        },
    )
    write_lines(folder, lines)
    names = {f"samples/{steps * number // grids}.png": number for number in range(0 if now else 1, grids + 1)}
    for name, number in (names | ({"samples/real.png": 90} if now else {})).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number, 420 if now else 140))
    for name, text in (LOGS if logs is None else logs).items():
        put(folder, name, text)
    return folder


LOGS = {
    "logs/1/worker-0.log": "all 2 workers are here\n50/200 [D loss: 0.5 | D accuracy: 9%/9%] [G loss: 1]\n"
    "stopped after step 60; the checkpoint is saved, start again to go on\n",
    "logs/2/worker-0.log": "pod one-r2-0-x: worker 0 of 2, attempt 2\n"
    "generation 1: all 2 workers have met\nresuming gs://b/gan/one after step 60\n"
    "starting again: worker 1 was lost; all workers go on from step 120 (restart 1)\n"
    "resuming gs://b/gan/one after step 120\nfinished 200 steps: gs://b/gan/one\n",
}


def line(step):
    """A line of metrics: a function of its step."""
    noise = random.Random(step).random()
    return {
        "step": step,
        "images": step * 64,
        "d_loss": 0.4 + 0.2 * noise,
        "d_loss_real": 0.2 + 0.2 * noise,
        "d_loss_fake": 0.4 - 0.2 * noise,
        "g_loss": 1 + math.log(step) / 4 + noise,
        "d_accuracy_real": 0.7 + 0.3 * noise,
        "d_accuracy_fake": 0.9 - 0.3 * noise,
        "images_per_second": 900 + 200 * noise,
    }


def write_lines(folder, lines, name="metrics/1.jsonl"):
    """Write a segment of metrics."""
    put(Path(folder), name, "".join(json.dumps(each) + "\n" for each in lines))


def picture(seed, edge=140, mode="L"):
    """A PNG that differs from seed to seed."""
    stream = io.BytesIO()
    Image.effect_noise((edge, edge), 10 + seed).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def put(folder, name, content):
    """Write one file of the run, a dictionary as JSON."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
