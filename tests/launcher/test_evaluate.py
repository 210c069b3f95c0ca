"""``launcher evaluate``: the figures of a run that is found as every verb finds one."""

import json

import pytest

from tests.support.runs import run_here
from trainer.errors import EXIT_USER


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    assert run_here(root, run="first") == 0
    return str(root)


def test_a_runs_figures_have_their_names_counts_and_floors(root, launcher):
    done = launcher("evaluate", "first", "--root", root, "--samples", "200", "-o", "json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["run"].endswith("e/first") and found["step"] > 0
    figure = found["metrics"]["fd"]
    assert figure["value"] > 10 * figure["floor"] > 0 and figure["samples"] == 200
    assert figure["features"].startswith("digits@") and "digits, 5000 images" in figure["reference"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--step", "7"], "error: --step 7: there are checkpoints at"),
        (["--samples", "20"], "error: --samples 20: expected more than the 96 features of digits@"),
        (["--reference", "nothing"], "error: --reference nothing: "),
    ],
)
def test_what_cannot_be_judged_is_one_line(root, launcher, words, said):
    done = launcher("evaluate", "first", "--root", root, *words)
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert done.returncode == EXIT_USER and line.startswith(said) and done.stdout == ""


def test_a_run_that_is_not_there_is_no_evaluation(root, launcher):
    assert launcher("evaluate", "frist", "--root", root).returncode == 3
