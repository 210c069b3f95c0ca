"""What can go wrong in a verb of the launcher, and the exit code that says so.

::

    trainer.errors.GantryError       1
    ├── trainer.errors.UserError     2   a mistake in the call: field, value and what is expected
    │   ├── SpecError                2   an option of a run that cannot be
    │   ├── RunExists                2   the name is taken; `resume` continues a run
    │   ├── RunAlive                 2   the run's processes are alive; one attempt at a time
    │   ├── Unsupported              2   this backend or place cannot do that
    │   └── NotInstalled             2   an extra of the package is missing
    ├── NoSuchRun                    3   no run of that name under the root
    ├── RunFailed                    1   an attempt ended on an error of its own
    └── RunInterrupted              42   an attempt was cut off; started again, it goes on

Exit code 3 always means "no such run", in every command that takes a run's name. Exit code 42 is the
trainer's own: stopped in good order, or cut off from outside, and `launcher resume` goes on.
"""

from trainer.errors import EXIT_RESTART, GantryError, UserError

EXIT_NO_SUCH_RUN = 3


class SpecError(UserError):
    """An option of a run is wrong."""


class RunExists(UserError):
    """A run of that name exists already."""


class RunAlive(UserError):
    """The run has living processes, so a second attempt cannot begin."""


class Unsupported(UserError):
    """The backend or the place of the run cannot do what was asked."""


class NotInstalled(UserError):
    """Something that an extra of the package brings is not installed."""


class NoSuchRun(GantryError):
    """There is no run of that name; the text names the nearest ones."""

    exit_code = EXIT_NO_SUCH_RUN


class RunFailed(GantryError):
    """An attempt ended on an error of its own."""


class RunInterrupted(GantryError):
    """An attempt was cut off or lost a worker; started again, the run goes on."""

    exit_code = EXIT_RESTART
