"""``python -m trainer``."""

import sys

from trainer.errors import EXIT_RESTART
from trainer.stops import STOPS, Ended, end

STOPS.listen(EXIT_RESTART if sys.argv[1:2] in (["train"], ["worker"]) else None)
try:
    from trainer.cli import main
except Ended:
    end()
main()
