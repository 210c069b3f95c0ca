"""Moved to launcher.states."""
from launcher.states import *  # noqa: F403
