"""What surrounds a process: its machine, its peers, its signals, its temporary files."""
