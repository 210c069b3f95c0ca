"""Looking at runs: curves, grids, comparisons, pages."""
