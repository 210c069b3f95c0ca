"""A backend for tests: a clerk who keeps a run on a sheet of paper in its folder, and trains nothing."""
