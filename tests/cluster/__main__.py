"""``python -m tests.cluster``."""

import sys

from tests.cluster.harness.cli import main

sys.exit(main(sys.argv[1:]))
