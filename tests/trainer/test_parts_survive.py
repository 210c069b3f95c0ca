"""Two real workers with the parts that keep or draw something of their own, killed and resumed."""

from tests.support.teams import Team, outcome, saved, train
from trainer.storage import open_store

SETS = (
    *("batch_size=16", "steps=40", "seed=2", "metrics.every_steps=1", "checkpoints.every_steps=4"),
    *("samples.every_steps=40", "network.generator_filters=[8,4]", "network.discriminator_filters=[4,8]"),
    *("network.generator_normalization=none", "network.discriminator_normalization=spectral"),
    *("regularizers.instance_noise.stddev=0.3", "regularizers.instance_noise.decay_to=10"),
    *("packing=2", "microbatch=4", "loss=rpgan", "averaging.half_life_images=40"),
)
PAIR = {"workers": 2, "preset": "dcgan", "sets": SETS}


def test_a_killed_pair_resumes_into_the_same_bits(tmp_path):
    root, logs = str(tmp_path), tmp_path / "logs"
    whole = train(root, "whole", logs, **PAIR)
    assert "E0000" not in whole.log()  # no pass of TensorFlow fails over bare convolutions
    store = open_store(str(tmp_path / "e" / "killed"))
    with Team(root, "killed", logs, **PAIR) as team:
        team.until(lambda: saved(store) >= 4)
        team.kill()
    assert "resuming" in train(root, "killed", logs, **PAIR).log()
    assert outcome(store, 40) == outcome(open_store(str(tmp_path / "e" / "whole")), 40)
