"""The same run on 1, 2 and 3 workers plays the same game."""

import pytest

from tests.support.metrics import read_lines

FIRST_STEPS = 20  # a GAN amplifies rounding: later on, runs of different sizes drift apart


@pytest.mark.parametrize("workers", [2, 3])
def test_losses_agree_over_the_first_steps(undisturbed, workers):
    alone = list(read_lines(undisturbed(1)))[:FIRST_STEPS]
    together = list(read_lines(undisturbed(workers)))[:FIRST_STEPS]
    assert [line["step"] for line in alone] == list(range(1, FIRST_STEPS + 1))
    for one, many in zip(alone, together, strict=True):
        for name in ("d_loss", "d_loss_real", "d_loss_fake", "g_loss"):
            assert many[name] == pytest.approx(one[name], rel=1e-3), (one["step"], name)
