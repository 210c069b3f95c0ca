"""Whatever is done to the workers of a run: it completes, and with the bits of one that was left in peace.

Three runs take all blows, since a start of two trainers is what costs time. Each has a file of its own, so
that they run beside one another. The run in peace, one for all, trains meanwhile on this machine.
"""

from contextlib import ExitStack

import pytest

from tests.cluster.survival.survivor import PATIENCE_SECONDS, SETS, STEPS, Survivor
from tests.cluster.waiting import wait_until
from tests.support.teams import Team, outcome
from trainer.run import layout
from trainer.storage import open_store


@pytest.fixture(scope="session")
def undisturbed(meeting_place):
    """The run that nothing happens to; a call waits for its end and gives its outcome."""
    folder = meeting_place / "undisturbed"
    store = open_store(str(folder / "e/run"))

    def wait():
        wait_until(lambda: store.stat(layout.RESULT), "the end of the run in peace", PATIENCE_SECONDS)
        return outcome(store, STEPS)

    with ExitStack() as stack:
        try:
            folder.mkdir()
        except FileExistsError:  # another process of this call of pytest has begun it
            yield wait
            return
        team = Team(str(folder), "run", folder / "logs", workers=2, sets=SETS)
        stack.enter_context(team)
        yield wait
        codes = [process.wait(PATIENCE_SECONDS) for process in team.processes]
    assert codes == [0, 0], team.log()


@pytest.fixture
def submit(undisturbed, launcher, kubectl, cluster, namespace, bucket, tmp_path):
    """Start a run with flags of its own, and follow its status."""

    def start(name, *more):
        run = Survivor(name, launcher, kubectl, (cluster, namespace, bucket), *more)
        run.follow(tmp_path)
        return run

    return start
