"""Images from a generator: the grids of a run, `trainer sample` and `trainer export`."""
