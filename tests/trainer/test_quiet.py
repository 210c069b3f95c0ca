"""What the import of TensorFlow brings with it, and leaves behind."""

import subprocess
import sys

LOADED = """
import gc, sys
from trainer.environment import quiet
quiet.load_tensorflow()
print(sorted({"keras", *quiet.NOT_WANTED} & sys.modules.keys()), gc.isenabled())
import scipy
"""


def test_it_comes_without_what_keras_would_like_and_whoever_wants_that_gets_it_afterwards():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['keras'] True\n", "")
