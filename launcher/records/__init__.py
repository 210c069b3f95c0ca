"""What a run's own folder says: where it stands, and what its workers printed."""
