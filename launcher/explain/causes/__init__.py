"""Every cause that is recognised, in the order in which they are tried."""

from launcher.explain.base import Cause

CAUSES: tuple[Cause, ...] = ()
