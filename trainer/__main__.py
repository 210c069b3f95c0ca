"""``python -m trainer``."""

import os
import sys

# "python -m" looks for modules in the working folder first, and a queue.py there would be Python's.
if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):  # noqa: PTH100, PTH120
    del sys.path[0]


from trainer.environment.stop_signals import STOPS, Ended, end
from trainer.errors import EXIT_RESTART

try:  # a signal may come as soon as somebody listens
    STOPS.listen(EXIT_RESTART if sys.argv[1:2] in (["train"], ["worker"]) else None)
    from trainer.cli import main

    main()
except Ended:
    end()
