"""Images from a generator: the grids of a run, and `trainer sample`."""
