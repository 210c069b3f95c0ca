"""Every signal that means "end", in every phase: by trainer, pod, launcher and supervisor.

``make test`` takes those whose ways out differ, ``make test-ends`` all, and writes docs/ends.md.
"""

import pytest

from tests.ends.page import record
from tests.ends.phases import PHASES, SIGNALS, Stage

pytest.importorskip("tensorflow", reason="trainers need TensorFlow")


def _cases():
    for phase in PHASES:
        for terminal in (False, True):
            for number in SIGNALS:
                told = f"{number} tty" if terminal else number
                marks = [] if told in phase.here else [pytest.mark.ends]
                name = f"{phase.name}, {told}".replace(" ", "-")
                yield pytest.param(phase, number, terminal, id=name, marks=marks)


@pytest.fixture
def stage(request, tmp_path):
    """Where a phase is played; what it started is killed."""
    phase, number, terminal = (request.getfixturevalue(name) for name in ("phase", "number", "terminal"))
    proxy = root = None
    if phase.bucket:
        proxy, root = request.getfixturevalue("gcs_proxy"), request.getfixturevalue("gcs_root")
    made = Stage(tmp_path, root or str(tmp_path / "runs"), number, terminal, proxy)
    yield made
    for process in made.started:
        process.close()


@pytest.mark.parametrize(("phase", "number", "terminal"), [*_cases()])
def test_it_ends(phase, number, terminal, stage):
    phase.check(number, *phase.play(stage))
    record(phase=phase.name, signal=number, terminal=terminal)
