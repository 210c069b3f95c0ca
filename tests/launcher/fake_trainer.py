"""A worker that keeps the trainer's contract with the launcher, without training.

``python fake_trainer.py <run folder> <plan>``, where the plan is JSON from a worker's index to what it does:

- ``train``: a step every few milliseconds until the file ``go`` lies in the folder, then done
- ``deaf``: like train, but SIGTERM changes nothing
- ``exit:<code>``: writes an ``error:`` line and leaves
- ``crash``: leaves with an uncaught exception
- ``wait:<folder>:<code>``: like exit, once the folder exists
"""

import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

FOLDER, PLAN = Path(sys.argv[1]), json.loads(sys.argv[2])
STOP: list[int] = []


def write(name, values):
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(".unfinished-" + path.name)
    partial.write_text(json.dumps(values))
    partial.replace(path)


def say(state, step, **more):
    updated = datetime.now(UTC).isoformat()
    write("status.json", {"state": state, "step": step, "steps": 1000, "updated": updated, **more})


def worker_index():
    return json.loads(os.environ["TF_CONFIG"])["task"]["index"] if "TF_CONFIG" in os.environ else 0


def train(chief):
    if chief:
        begun = {"preset": "mlp", "overrides": [], "config": json.loads(os.environ["FAKE_CONFIG"])}
        write("run.json", {"format": 1, "world_size": 1, **begun})
    step = 0
    while not STOP and not (FOLDER / "go").exists():
        step += 1
        if chief:
            say("running", step, images_per_second=100.0, metrics={"d_loss": 0.5})
            if step <= 3:
                print(f"{step}/1000 [D loss: 0.5 | D accuracy: 50%/50%] [G loss: 0.7]", flush=True)
        time.sleep(0.02)
    if chief:
        write(f"checkpoints/{step}/manifest.json", {})
        say("stopped" if STOP else "finished", step)
    return 42 if STOP else 0


def main():
    what = PLAN[str(worker_index())]
    if what != "deaf":
        signal.signal(signal.SIGTERM, lambda number, frame: STOP.append(number))
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if what == "crash":
        raise RuntimeError("the fake crashed")
    if what.startswith("wait:"):
        _, name, code = what.split(":")
        while not (FOLDER / name).exists():
            time.sleep(0.02)
        what = f"exit:{code}"
    if what.startswith("exit:"):
        print("error: data.source nowhere: there is no such folder", flush=True)
        return int(what.removeprefix("exit:"))
    return train(worker_index() == 0)


sys.exit(main())
