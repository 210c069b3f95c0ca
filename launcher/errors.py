"""What can go wrong in a verb of the launcher, and the exit code that says so.

::

    trainer.errors.GantryError       1
    ├── trainer.errors.UserError     2   a mistake in the call: field, value and what is expected
    │   ├── SpecError                2   an option of a run that cannot be
    │   │   └── FieldError           2   … and the field of `RunSpec` is known
    │   ├── RunExists                2   the name is taken; `resume` continues a run
    │   ├── RunAlive                 2   the run's processes are alive; one attempt at a time
    │   ├── Unsupported              2   this backend or place cannot do that
    │   ├── NotInstalled             2   an extra of the package is missing
    │   ├── BadKubeconfig          * 2   the kubeconfig cannot be read, or lacks what its context names
    │   ├── ClusterUnreachable     * 2   no API server answers at the context's address
    │   ├── NotLoggedIn            * 2   there are no credentials, or the cluster does not accept them
    │   ├── NamespaceMissing       * 2   the cluster has no such namespace
    │   └── Forbidden              * 2   the cluster's user lacks a permission; verb and resource are named
    ├── NoSuchRun                    3   no run of that name under the root
    │   └── NoSuchSchedule           3   no schedule of that name in the namespace
    ├── RunFailed                    1   an attempt ended on an error of its own
    ├── Interrupted                130   Ctrl-C while something was sent; the text says what is left of it
    ├── RunInterrupted              42   an attempt was cut off; started again, it goes on
    ├── ClusterLost                * 1   the API server answered before, and then not for minutes
    └── ApiRejected                  1   the API server refuses a request, in its own words
        ├── NotFound                 1   … because there is no such object
        ├── AlreadyExists            1   … because the name is taken
        └── ApiFailed              * 1   … because of a fault in the cluster, such as a webhook that is broken

    * is a `CannotAsk` too: where a run's folder has the answer, it is worth a note and ends no command.

    Transient, Expired                   between the modules of the Kubernetes backend, never shown

Exit code 3 always means "no such run" or schedule, in every command that takes a name. Exit code 42 is the
trainer's own: stopped in good order, or cut off from outside, and `launcher resume` goes on.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from trainer.errors import EXIT_RESTART, GantryError, UserError

EXIT_NO_SUCH_RUN = 3
EXIT_CTRL_C = 130  # 128 + SIGINT, as shells have it


class Interrupted(GantryError):
    """Ctrl-C, of which a person should know what it left."""

    exit_code = EXIT_CTRL_C


@contextmanager
def nothing_sent() -> Iterator[None]:
    """What is done before anything reaches a cluster.

    Raises:
        Interrupted: Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted: nothing was sent") from None


class SpecError(UserError):
    """An option of a run is wrong."""


class FieldError(SpecError):
    """A field of a run is wrong; whoever knows where its value came from can say so."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def refuse(field: str, value: Any, expected: str) -> FieldError:
    """The error of a field whose value is not what is expected."""
    return FieldError(field, f"{field} is '{value}': expected {expected}")


class RunExists(UserError):
    """A run of that name exists already."""


class RunAlive(UserError):
    """The run has living processes, so a second attempt cannot begin."""


class Unsupported(UserError):
    """The backend or the place of the run cannot do what was asked."""


class NotInstalled(UserError):
    """Something that an extra of the package brings is not installed."""


class CannotAsk(GantryError):
    """The cluster cannot be asked, for whatever reason; what a folder tells is told all the same."""


class BadKubeconfig(CannotAsk, SpecError):
    """The kubeconfig cannot be read, or lacks what its context names."""


class ClusterUnreachable(CannotAsk, UserError):
    """No API server answers at the context's address, or it is not the one the context trusts."""


class NotLoggedIn(CannotAsk, UserError):
    """The context has no credentials, or the API server does not accept them."""


class NamespaceMissing(CannotAsk, UserError):
    """The cluster has no such namespace."""


class Forbidden(CannotAsk, UserError):
    """The user of the cluster lacks a permission; the text names the verb, the resource and the Role."""


class NoSuchRun(GantryError):
    """There is no run of that name; the text names the nearest ones."""

    exit_code = EXIT_NO_SUCH_RUN


class NoSuchSchedule(NoSuchRun):
    """The namespace has no schedule of that name; the text names the nearest ones."""


class RunFailed(GantryError):
    """An attempt ended on an error of its own."""


class RunInterrupted(GantryError):
    """An attempt was cut off or lost a worker; started again, the run goes on."""

    exit_code = EXIT_RESTART


class ClusterLost(CannotAsk):
    """The API server answered before, and then not for as long as the launcher is patient."""


class ApiRejected(GantryError):
    """The API server refuses a request; the text is the server's own, on one line."""

    def __init__(
        self, text: str, code: int = 0, reason: str = "", details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        """HTTP status."""
        self.reason = reason
        """The server's word for it, such as ``Invalid``."""
        self.details = details or {}
        self.retried = False
        """Whether the request had been sent before without an answer."""


class NotFound(ApiRejected):
    """The cluster has no such object."""


class AlreadyExists(ApiRejected):
    """The cluster has an object of that name."""


class ApiFailed(CannotAsk, ApiRejected):
    """The API server fails at a request in a way that does not pass by itself (500)."""


class Transient(Exception):
    """A request failed in a way that may pass: refused, cut, late, or the server is busy."""

    def __init__(self, text: str, after: float = 0.0, code: int = 0) -> None:
        super().__init__(text)
        self.after = after
        """Seconds the server asks to be left alone."""
        self.code = code
        """HTTP status of its answer; 0 where there was none."""


class Expired(Exception):
    """The server has forgotten the resource version that a watch wants to go on from (410): list again."""
