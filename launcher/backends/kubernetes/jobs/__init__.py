"""Jobs made and stopped: all of a submission or nothing."""
