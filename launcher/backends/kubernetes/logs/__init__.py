"""Lines of a Job's pods, each exactly once."""
