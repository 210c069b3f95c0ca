"""Why a run or a schedule is not well: one sentence, the evidence, and the command that mends it.

`gathering` asks cluster and bucket for `Facts`; every cause in `causes/` is a pure function of those; the
first that is found is the answer, in the order of `causes.CAUSES`: from what says itself what it is to what
has to be concluded. Where none is found, the three most telling facts are shown and nothing is guessed.
"""

from launcher.diagnosis.explain.base import Cause, Diagnosis, Evidence, Finding
from launcher.diagnosis.explain.diagnosis import (
    diagnose_schedule,
    explain,
    explain_run,
    explain_schedule,
    explained,
)
from launcher.diagnosis.explain.facts import Facts
from launcher.diagnosis.explain.fix import Fix
from launcher.diagnosis.explain.judging import diagnose
from launcher.diagnosis.explain.schedule_facts import ScheduleFacts

__all__ = [
    "Cause",
    "Diagnosis",
    "Evidence",
    "Facts",
    "Finding",
    "Fix",
    "ScheduleFacts",
    "diagnose",
    "diagnose_schedule",
    "explain",
    "explain_run",
    "explain_schedule",
    "explained",
]
