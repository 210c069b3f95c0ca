"""The table of metrics: all that prints or draws one goes by it, and a row is all that a new one takes."""

import subprocess
from typing import get_args

import pytest

from trainer import config, metrics
from trainer.losses import LOSSES
from trainer.methods.adversarial import names
from trainer.metrics import HEADLINES, METRICS, OF_SAMPLES, OVERFITTING, PANELS, Metric, Panel
from trainer.regularizers import REGULARIZERS
from trainer.training.progress import line

JUDGED = (*OF_SAMPLES, OVERFITTING)
VALUES = dict.fromkeys((metric.name for metric in METRICS), 0.25) | {"step": 50, "images": 3200}


def test_every_metric_has_a_name_of_its_own_and_a_panel():
    assert len({metric.name for metric in METRICS}) == len(METRICS) == len(metrics.BY_NAME)
    assert {metric.panel for metric in METRICS} == set(PANELS)
    assert {metric.direction for metric in METRICS} <= {-1, 0, 1}


def test_a_step_gives_what_the_table_says():
    weights = [f"regularizers.{name}.weight=1" for name, about in REGULARIZERS.items() if about.of_loss]
    weights.remove("regularizers.label_smoothing.weight=1")
    found = {name for loss in LOSSES for name in names(config.resolve("mlp", [f"loss={loss}", *weights]))}
    judged = {metric.name for metric in METRICS if metric.panel in JUDGED}
    others = "regularizers.label_smoothing.weight=0.1", "conditioning.kind=acgan", "augmentation.kind=ada"
    others += ("precision=float16",)
    for sets in ([each] for each in others):
        found |= {*names(config.resolve("mlp", sets))}
    of_grids = {metric.name for metric in METRICS if metric.panel in (metrics.VARIETY, metrics.NORMS)}
    assert {*found, *judged, *of_grids, metrics.RATE} == metrics.BY_NAME.keys()


def test_every_figure_that_training_measures_is_told_with_what_it_was_measured_by():
    from launcher.runs.sorting import FIGURES
    from trainer.config.evaluation import BEST_BY

    assert {*get_args(BEST_BY)} < FIGURES and not FIGURES & {*HEADLINES, metrics.RATE}


def test_the_line_of_progress_is_the_pages():
    assert line(VALUES | {"images_per_second": 861.4}, 100, 61.0) == (
        "50/100 [D loss: 0.2500 | D accuracy: 25%/25%] [G loss: 0.2500]  861 images/s  3200 images"
        "  ETA 0:01:01"
    )


def test_what_another_revision_measures_has_its_own_name():
    assert metrics.label("fid") == "fid"
    assert metrics.unknown(["d_loss", "fid"]) == ["fid"]


@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_nothing_else_names_a_metric(name):
    """But the step, which computes them, the conditions of a game that is over, examples in help, and the
    speed that a status has beside its metrics."""
    if name == metrics.RATE:
        return
    found = subprocess.run(
        ["git", "grep", "-lF", f'"{name}"', "--", "trainer", "launcher"], capture_output=True, text=True
    ).stdout.split()
    assert "trainer/metrics.py" in found
    of_training = {"trainer/training/state.py", "trainer/training/health.py"}
    of_training |= {"trainer/health/conditions.py", "trainer/health/signs.py"}
    of_parts = {"trainer/methods/adversarial.py", "trainer/regularizers/__init__.py"}
    # Figures are computed, and named for the choice of the best, where images are judged.
    of_figures = {"trainer/config/evaluation.py", "trainer/run/best.py", "trainer/training/verdicts.py"}
    if metrics.BY_NAME[name].panel in JUDGED:  # some have the name of something else too
        of_figures |= {
            "trainer/run/evaluations.py",
            "launcher/backends/local/lock.py",
            "launcher/commands/show.py",
            "launcher/looking/evaluated.py",
            "trainer/networks/ends.py",
            "trainer/config/price.py",
        }
        of_figures |= {"trainer/sampling/drawing.py", "trainer/training/train.py", "trainer/run/judged.py"}
        of_figures |= {"launcher/interface.py", "launcher/looking/compare/judged.py"}
        of_figures |= {"trainer/health/conditions.py", "trainer/health/signs.py"}
        found = [at for at in found if at not in of_figures and not at.startswith("trainer/evaluation/")]
    # A penalty asks for its noise by its name, and a proposal names what it proposes.
    own = {f"trainer/regularizers/{name}.py", "trainer/config/proposals.py"}
    assert set(found) <= {"trainer/metrics.py", *of_training, *of_parts, *own}


def test_a_row_is_all_that_a_new_metric_takes(monkeypatch):
    """It is drawn by the page, the report, the comparison and the curves without a line of theirs."""
    from launcher.looking.curves import Curves
    from launcher.looking.report.panels import draw

    panel = Panel("Distance", "XD")
    row = Metric("xd", "distance", "XD", "all", panel, -1)
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, row))
    monkeypatch.setattr(metrics, "BY_NAME", {**metrics.BY_NAME, "xd": row})
    monkeypatch.setattr("launcher.looking.report.panels.PANELS", (*PANELS, panel))
    pictures = draw(Curves([1, 2], [64, 128], {"xd": [3.0, 2.0], "d_loss": [0.7, 0.6]}), ())
    assert [(each.title, [line.name for line in each.lines]) for each in pictures] == [
        ("Losses", ["discriminator"]),
        ("Distance", ["all"]),
    ]
