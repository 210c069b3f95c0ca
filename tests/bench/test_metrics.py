"""Our figures against those that torch-fidelity and prdc gave of the same features (`bench.metrics`)."""

import json

import pytest

from bench import metrics


def test_figures_are_those_of_torch_fidelity_and_prdc():
    second = json.loads(metrics.FILE.read_text(encoding="utf-8"))
    values, _ = metrics.ours(*metrics.case("small"))
    assert set(values) == set(second["small"]) == set(metrics.COMPARED)
    for name, value in values.items():
        assert value == pytest.approx(second["small"][name], rel=1e-6), name
    assert 0 < values["precision"] < 1 and 0 < values["coverage"] < 1 and values["kid"] > 0
    assert second["versions"]["torch-fidelity"] and second["versions"]["prdc"]
