"""The commands: they parse, call `launcher.runs` and print."""
