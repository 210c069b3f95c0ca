"""The commands: they parse, call `launcher.runs.verbs` and print."""
