"""Whether everything that runs need is there, before one fails for want of it: ``launcher doctor``.

Every check is a small function of a `Subject` in one of the tables of `checks`; those that do not need one
another run at once. What may not be asked is a warning that says what to grant.
"""

from launcher.diagnosis.doctor.base import FAIL, OK, WARN, Report, Result, Subject
from launcher.diagnosis.doctor.examine import examine
from launcher.diagnosis.doctor.subject import subject_of

__all__ = ["FAIL", "OK", "WARN", "Report", "Result", "Subject", "examine", "subject_of"]
