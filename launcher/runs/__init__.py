"""Every verb of a run as a function that returns data; finding runs, one or all."""
