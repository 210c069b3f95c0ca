"""Where the workers of a run live: processes on this machine."""
