"""``python -m launcher`` is the `launcher` command."""

import os
import sys

# As in trainer/__main__.py: modules of the working folder are not ours.
if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):  # noqa: PTH100, PTH120
    del sys.path[0]

from launcher.cli import main

if __name__ == "__main__":
    main()
