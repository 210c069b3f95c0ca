"""What every method promises, of a few combinations of parts; ``make laws`` goes through every pair."""

import json
import subprocess
import sys

import pytest

from tests.laws.cases import REPRESENTATIVE, allowed, everything, pairs, pairwise
from tests.laws.page import upholds


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """How each combination went; they share a process, which takes 2 s to begin."""
    file = tmp_path_factory.mktemp("laws") / "cases.json"
    file.write_text(json.dumps(REPRESENTATIVE))
    done = subprocess.run(
        [sys.executable, "-m", "tests.laws.play", str(file)], capture_output=True, text=True, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(REPRESENTATIVE), done.stderr[-3000:]
    return lines


@pytest.mark.parametrize("number", range(len(REPRESENTATIVE)))
def test_two_replicas_play_as_one_and_a_resume_gives_the_same_bits(played, number):
    assert upholds(played[number]), played[number]


def test_every_pair_of_parts_that_is_allowed_comes():
    """Of three kinds; all combinations of five are 12,299, too many to look for in a test."""
    kinds = ("network", "loss", "regularizer")
    wanted = set().union(*(pairs(case) for case in everything(kinds)))
    assert set().union(*(pairs(case) for case in pairwise(kinds))) == wanted
    assert len(wanted) > 150
    assert all(map(allowed, REPRESENTATIVE))
