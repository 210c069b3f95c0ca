"""What a process of a run gets, told to a file: ``told.py start FILE`` starts one as the local backend does.

``told.py tell FILE`` is that process: it begins as every one of ours does, and writes down what it sees then.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

NAMES = ("trainer", "launcher", "queue", "keras", "numpy", "tensorflow")


def start(file: Path) -> int:
    from launcher.backends.local.processes import spawn, worker_environment

    lock = os.open(os.devnull, os.O_RDONLY)
    command = [sys.executable, __file__, "tell", str(file)]
    return spawn(command, worker_environment(os.environ, [], 0), file.with_suffix(".log"), lock).wait()


def tell(file: Path) -> None:
    from trainer.environment import surroundings

    surroundings.settle()
    specs = {name: importlib.util.find_spec(name) for name in NAMES}
    told = {
        "environ": dict(os.environ),
        "origins": {name: spec.origin if spec else None for name, spec in specs.items()},
        "streams": [os.fstat(number).st_mode for number in (0, 1, 2)],
        "warnings": sys.warnoptions,
        "optimize": sys.flags.optimize,
        "recorded": surroundings.recorded(os.environ, 1),
    }
    file.write_text(json.dumps(told))


if __name__ == "__main__":
    if sys.argv[1] == "start":
        os._exit(start(Path(sys.argv[2])))  # at PYTHONINSPECT somebody would have to type
    tell(Path(sys.argv[2]))
