"""Names of the objects of a run, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import UserError
from trainer.run import layout
from trainer.storage import check_name

steps = st.integers(0, 10**12)


@given(step=steps)
def test_a_name_gives_its_step_back_and_is_a_decent_name(step):
    assert layout.checkpoint_step(layout.checkpoint_manifest(step)) == step
    assert layout.checkpoint_step(layout.checkpoint_folder(step) + "data") == step
    assert layout.metrics_first_step(layout.metrics_segment(step)) == step
    for name in (
        layout.checkpoint_manifest(step),
        layout.metrics_segment(step),
        layout.sample_grid(step),
        layout.worker_log(step, 0),
        layout.worker_log_segment(step, 0, step),
    ):
        assert check_name(name) == name


@given(steps, steps, steps)
def test_a_log_says_its_attempt_worker_and_segment(attempt, worker, segment):
    whole, piece = layout.worker_log(attempt, worker), layout.worker_log_segment(attempt, worker, segment)
    assert layout.worker_log_parts(whole) == (attempt, worker, None)
    assert layout.worker_log_parts(piece) == (attempt, worker, segment)


@given(st.integers(0, 99998))
def test_segments_are_listed_in_their_order(segment):
    names = [layout.worker_log_segment(1, 0, number) for number in (segment, segment + 1)]
    assert names == sorted(names)


@pytest.mark.parametrize(
    "name", ["logs/1/supervisor.log", "logs/1/worker-0.1.log", "logs/1/worker-x.log", "logs/worker-0.log",
             "logs/1/worker-0.00000.log.gz", "logs/1/worker-0.00000.00001.log", "logs/1/worker-0.log\n"]
)  # fmt: skip
def test_other_names_are_no_workers_log(name):
    assert layout.worker_log_parts(name) is None


@pytest.mark.parametrize(
    "name", ["", "run.json", "checkpoints/", "checkpoints/x/a", "checkpoints/5", "metrics/5"]
)
def test_other_names_have_no_step(name):
    assert layout.checkpoint_step(name) is None
    assert layout.metrics_first_step(name) is None


@pytest.mark.parametrize("root", ["/runs", "/runs/", "gs://bucket/prefix", "gs://bucket/prefix/"])
def test_a_run_lies_below_its_experiment(root):
    assert layout.run_path(root, "digits", "mlp-1").url == root.rstrip("/") + "/digits/mlp-1"


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a.b", "a/b", "..", "a" * 64, "ä", "a\n"])
def test_a_name_that_kubernetes_would_refuse_is_refused(name):
    with pytest.raises(UserError, match="expected lower case"):
        layout.run_path("runs", "digits", name)
    with pytest.raises(UserError, match="experiment"):
        layout.run_path("runs", name, "mlp")


@pytest.mark.parametrize("name", ["a", "0", "a-b", "a" * 63])
def test_a_dns_label_is_taken(name):
    assert layout.run_path("runs", name, name).name == name
