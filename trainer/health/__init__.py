"""Whether the game of generator and discriminator is still one, by the lines of metrics alone.

What no NaN tells of, and what a run can go on with to its last step: named conditions, each with its
threshold, its paper and an option that changes it (`conditions`), heard line by line (`monitor`). What is
heard is a pure function of the lines and the configuration, so that a process that goes on hears the same.
Free of NumPy and TensorFlow: the launcher's `explain` and report have the same table.
"""

from trainer.health.conditions import BY_NAME, CONDITIONS, Condition
from trainer.health.monitor import Found, Monitor, in_words
from trainer.health.settings import Health

__all__ = ["BY_NAME", "CONDITIONS", "Condition", "Found", "Health", "Monitor", "in_words"]
