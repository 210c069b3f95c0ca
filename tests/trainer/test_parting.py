"""Workers part at a barrier: none is gone while another is still on its way there."""

import json
import os
import subprocess
import sys

from tests.support.teams import DEADLINE_SECONDS, free_ports

# Worker 1 comes late, and says so in a file before it comes: whoever is through finds that file.
WORKER = """
import json, os, sys, time
from pathlib import Path
from trainer.environment import tf_config
from trainer.training import distribution
team, said = tf_config.from_environment(os.environ), Path(sys.argv[1])
strategy = distribution.connect(team, 10)
assert distribution.agree(strategy, team, 7 if team.is_chief else 0) == 7
if not team.is_chief:
    time.sleep(1)
    said.touch()
distribution.part(team)
print("late one was there" if said.exists() else "parted alone", flush=True)
if team.is_chief:
    time.sleep(1)
os._exit(0)
"""


def test_nobody_is_through_before_the_last_has_come(tmp_path):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        variables = os.environ | {"TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "2"}
        workers.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(tmp_path / "said")],
                env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    try:
        for worker in workers:
            out, err = worker.communicate(timeout=DEADLINE_SECONDS)
            assert (worker.returncode, out) == (0, "late one was there\n"), err
            assert "Aborting" not in err
    finally:  # where one fails the other waits for it
        for worker in workers:
            worker.kill()
