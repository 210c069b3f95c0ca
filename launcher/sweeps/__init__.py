"""Many runs that differ in some hyperparameters: read, planned and started, so many at a time."""

from launcher.sweeps.planning import Member, Plan, plan
from launcher.sweeps.running import Result, Row, go

__all__ = ["Member", "Plan", "Result", "Row", "go", "plan"]
