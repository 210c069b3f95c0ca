"""The command on a workstation: starts runs, follows them, and brings their artifacts home."""
