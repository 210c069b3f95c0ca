"""Runs to which everything happens end in the bits of one that nobody touched; `make chaos` plays more."""

import pytest

from tests.chaos.driver import play, undisturbed
from tests.chaos.schedule import Kind, schedule

# Two of the hundred of docs/reliability.md that hold together everything that can happen, and a pause that is
# longer than a heartbeat; no others are as short.
PLAYED = [(56, 2), (81, 3)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """A function: what an undisturbed run with that many workers comes to, made once."""
    folder, made = tmp_path_factory.mktemp("undisturbed"), {}

    def run(workers):
        if workers not in made:
            made[workers] = undisturbed(folder, workers)
        return made[workers]

    return run


@pytest.mark.parametrize(("seed", "workers"), PLAYED)
def test_a_run_to_which_everything_happens_ends_in_the_same_bits(expected, tmp_path, seed, workers):
    result = play(seed, workers, expected(workers), tmp_path)
    story = "\n".join(result.story)
    assert result.is_ok, f"{result.why}\n{story}\nagain: python -m tests.chaos --count 1 --seed {seed}"


def test_everything_that_can_happen_happens_in_these():
    kinds = {event.kind for seed, workers in PLAYED for event in schedule(seed, workers).events}
    assert kinds == set(Kind)
