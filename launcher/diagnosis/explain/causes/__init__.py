"""Every cause that is recognised, in the order in which they are tried.

The order is part of the rules: what an object says by itself comes before what has to be concluded, and what
ended a run before what that brought about.
"""

from launcher.diagnosis.explain.base import Cause
from launcher.diagnosis.explain.causes.admission import ADMISSION
from launcher.diagnosis.explain.causes.altered import ALTERED
from launcher.diagnosis.explain.causes.disks import DISKS
from launcher.diagnosis.explain.causes.endings import ENDINGS, KILLED, LEFT
from launcher.diagnosis.explain.causes.game import GAME
from launcher.diagnosis.explain.causes.images import IMAGES
from launcher.diagnosis.explain.causes.limits import DEADLINE, ENDED
from launcher.diagnosis.explain.causes.mistakes import MISTAKES
from launcher.diagnosis.explain.causes.name_taken import DELETED, TAKEN
from launcher.diagnosis.explain.causes.orphans import ORPHANED
from launcher.diagnosis.explain.causes.peers import STALLED, UNREACHABLE
from launcher.diagnosis.explain.causes.references import REFERENCES
from launcher.diagnosis.explain.causes.schedules import SCHEDULES
from launcher.diagnosis.explain.causes.scheduling import SCHEDULING
from launcher.diagnosis.explain.causes.sidecars import IN_THE_WAY, LEFT_OVER
from launcher.diagnosis.explain.causes.storage import AWAY, STORAGE
from launcher.diagnosis.explain.causes.throttled import THROTTLED
from launcher.diagnosis.explain.causes.volumes import VOLUMES
from launcher.diagnosis.explain.causes.waiting import TOO_FEW, WAITING
from launcher.diagnosis.explain.facts import Facts
from launcher.diagnosis.explain.schedule_facts import ScheduleFacts

CAUSES: tuple[Cause[Facts], ...] = (
    ORPHANED,
    LEFT_OVER,
    GAME,
    *WAITING,
    *IMAGES,
    *REFERENCES,
    *ADMISSION,
    *TAKEN,
    TOO_FEW,
    *VOLUMES,
    *SCHEDULING,
    *STORAGE,
    *DISKS,
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
