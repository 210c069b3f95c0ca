"""Where a run's Job and pods stand, in plain words."""
