"""What can go wrong in a run, and the exit code that says so.

::

    GantryError                1   anything that is nobody's mistake
    ├── UserError              2   a mistake in the configuration, the data or the call
    │   ├── ConfigError        2   a key or a value of the configuration
    │   ├── DataError          2   a data set: missing, empty, damaged, of the wrong shape
    │   ├── AccessError        2   a folder or bucket that is missing or refuses
    │   ├── RunHeld            2   another process trains the run
    │   └── RunLost            2   its record or its checkpoints are gone: there is nothing to go on with
    ├── StorageError           1   storage failed although it was asked rightly (outage)
    │   ├── Exhausted          1   the machine takes no more: waiting mends nothing
    │   │   ├── DiskFull       1   no space left, or none of a quota
    │   │   ├── DiskReadOnly   1   the disk was mounted read-only meanwhile
    │   │   └── TooManyFiles   1   no more files may be open
    │   ├── ObjectMissing      1   the object is not there
    │   └── PreconditionFailed 1   another writer got there first
    ├── StorageAway           42   storage did not answer for as long as we are willing to wait
    ├── LeaseLost             42   another process has taken the run over from us
    ├── CheckpointDamaged      1   a checkpoint whose files are not those of its manifest
    ├── Diverged               1   NaN or Inf in a loss or a gradient
    ├── Collapsed              3   the game of the networks is over, and `health.on_collapse` is stop
    ├── ComputeFailed          1   TensorFlow, a device or its library failed in this worker itself
    ├── PeerLost              42   another worker is gone: restart me and I resume
    └── Stopped               42   asked to stop before there was anything to save

A process that was asked to stop (SIGTERM, Ctrl-C, SIGHUP) saves a checkpoint and leaves with `EXIT_RESTART`
too: started again, it goes on.
"""

from collections.abc import Sequence

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USER = 2
EXIT_COLLAPSED = 3
EXIT_RESTART = 42

_NAMED = 5  # of many, in a message of one line


class GantryError(Exception):
    """Base of all errors that Gantry raises on purpose; its text is one line for a person."""

    exit_code = EXIT_FAILED


class UserError(GantryError):
    """A mistake only the user can mend; the text names the field or file, the value, what is expected."""

    exit_code = EXIT_USER


class ConfigError(UserError):
    """A key or value of the configuration is wrong."""


class DataError(UserError):
    """A data set is missing, empty, damaged or of the wrong shape."""


class AccessError(UserError):
    """A folder or bucket does not exist or refuses us."""


class RunHeld(UserError):
    """Another process, which is alive, trains the run."""


class RunLost(UserError):
    """The run's record or its checkpoints, which were there, are gone; nothing brings them back by itself."""


class StorageError(GantryError):
    """Storage failed although it was asked rightly."""


class Exhausted(StorageError):
    """The machine takes no more; waiting mends nothing, and what was saved before is whole."""


class DiskReadOnly(Exhausted):
    """The disk was mounted read-only, as a kernel does with one that fails."""


class TooManyFiles(Exhausted):
    """This process, or the machine, has as many files open as it may."""


class DiskFull(Exhausted):
    """There is no space left on the disk of the store or of the scratch folder."""


class ObjectMissing(StorageError):
    """The object asked for is not there."""


class PreconditionFailed(StorageError):
    """The object is not at the generation the caller expected."""


class StorageAway(GantryError):
    """Storage did not answer for as long as the run is willing to wait for it."""

    exit_code = EXIT_RESTART


class LeaseLost(GantryError):
    """Another process has taken the run over; this one must not write any more."""

    exit_code = EXIT_RESTART


class CheckpointDamaged(GantryError):
    """The files of a checkpoint are not those its manifest lists."""


class Diverged(GantryError):
    """A loss or a gradient became NaN or Inf."""


class Collapsed(GantryError):
    """The game of the networks is over, and the run is to stop then; everything up to that step is safe."""

    exit_code = EXIT_COLLAPSED


class ComputeFailed(GantryError):
    """TensorFlow, a device or its library failed in this worker; the text is what it said."""


class PeerLost(GantryError):
    """Another worker is gone; this process can only be restarted."""

    exit_code = EXIT_RESTART


class Stopped(GantryError):
    """This process was asked to stop, and had nothing to save; started again, the run goes on."""

    exit_code = EXIT_RESTART


def some(names: Sequence[str]) -> str:
    """The first of many names, for a message: ``a, b, c, d, e and 995 more``."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
