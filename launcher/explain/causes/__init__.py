"""Every cause that is recognised, in the order in which they are tried.

The order is part of the rules: what an object says by itself comes before what has to be concluded, and what
ended a run before what that brought about.
"""

from launcher.explain.base import Cause
from launcher.explain.causes.admission import ADMISSION
from launcher.explain.causes.altered import ALTERED
from launcher.explain.causes.endings import ENDINGS, KILLED, LEFT
from launcher.explain.causes.images import IMAGES
from launcher.explain.causes.limits import DEADLINE, ENDED
from launcher.explain.causes.mistakes import MISTAKES
from launcher.explain.causes.orphans import ORPHANED
from launcher.explain.causes.peers import STALLED, UNREACHABLE
from launcher.explain.causes.references import REFERENCES
from launcher.explain.causes.schedules import SCHEDULES
from launcher.explain.causes.scheduling import SCHEDULING
from launcher.explain.causes.sidecars import IN_THE_WAY, LEFT_OVER
from launcher.explain.causes.storage import AWAY, STORAGE
from launcher.explain.causes.taken import DELETED, TAKEN
from launcher.explain.causes.throttled import THROTTLED
from launcher.explain.causes.volumes import VOLUMES
from launcher.explain.causes.waiting import TOO_FEW, WAITING
from launcher.explain.facts import Facts
from launcher.explain.schedule_facts import ScheduleFacts

CAUSES: tuple[Cause[Facts], ...] = (
    ORPHANED,
    LEFT_OVER,
    *WAITING,
    *IMAGES,
    *REFERENCES,
    *ADMISSION,
    *TAKEN,
    TOO_FEW,
    *VOLUMES,
    *SCHEDULING,
    *STORAGE,
    *ALTERED,
    *ENDINGS,
    *MISTAKES,
    IN_THE_WAY,
    THROTTLED,
    AWAY,  # of which standing still may come
    STALLED,
    UNREACHABLE,
    *LEFT,
    DEADLINE,
    DELETED,
    KILLED,
    *ENDED,
)
"""Of a run."""

SCHEDULE_CAUSES: tuple[Cause[ScheduleFacts], ...] = SCHEDULES
"""Of a schedule."""
