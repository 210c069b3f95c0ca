"""A run to which nearly everything happens ends in the bits of one that nobody touched.

`make chaos` plays more of them.
"""

from tests.chaos.driver import play, undisturbed
from tests.chaos.schedule import Kind, schedule

# One of the hundred of docs/reliability.md: five things of as many kinds, with a pause that is longer than a
# heartbeat, to a run with every kind of state. Each start of a trainer takes 3 s of a core, so the others are
# left to `make chaos`.
SEED, WORKERS, PRESET = 34, 2, "demo"


def test_a_run_to_which_everything_happens_ends_in_the_same_bits(tmp_path):
    result = play(SEED, WORKERS, PRESET, undisturbed(tmp_path / "undisturbed", WORKERS, PRESET), tmp_path)
    story = "\n".join(result.story)
    assert result.is_ok, (
        f"{result.why}\n{story}\nagain: python -m tests.chaos --count 1 --seed {SEED} --preset {PRESET}"
    )


def test_nearly_everything_that_can_happen_happens_in_it():
    """What is left out, a trainer that is killed alone, happens in tests/trainer/test_worker.py."""
    assert {event.kind for event in schedule(SEED, WORKERS).events} == {*Kind} - {Kind.KILL_TRAINER}
