"""What is wrong, what would change, what it takes: before a run and when it fails."""
