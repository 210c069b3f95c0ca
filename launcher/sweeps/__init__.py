"""Many runs that differ in some hyperparameters: read, planned and started, so many at a time."""

from launcher.sweeps.going import Result, Row, go
from launcher.sweeps.planning import Member, Plan, plan

__all__ = ["Member", "Plan", "Result", "Row", "go", "plan"]
