"""The loop and what stands around it in one process: from the first look at a run to its last step."""
