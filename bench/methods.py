"""What each part adds to the step of the plain GAN."""

from bench.contestant import Group
from bench.report import Section, table
from bench.rounds import Turn, play, ratios, ready
from bench.setting import Setting, speed_row

_PARTS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "R1": ("regularizers.r1.weight=1",),
    "R1, every 16th": ("regularizers.r1.weight=1", "regularizers.r1.every=16"),
    "R1 by noise": ("regularizers.noise_r1.weight=0.25",),
    "R1 and R2 by noise, rpgan": (
        "regularizers.noise_r1.weight=0.25",
        "regularizers.noise_r2.weight=0.25",
        "loss=rpgan",
    ),
    "labels, projection": ("conditioning.kind=projection",),
    "labels, AC-GAN": ("conditioning.kind=acgan",),
    "spectral normalization": ("network.discriminator_normalization=spectral",),
    "instance noise": ("regularizers.instance_noise.stddev=0.1",),
    "packs of 2": ("packing=2",),
    "parts of 16": ("microbatch=16",),
    "average": ("averaging.half_life_images=10000",),
    "clipped gradients": ("optimizer.clip_norm=1",),
    "WGAN-GP, 5 critic steps": (
        "loss=wasserstein",
        "regularizers.gradient_penalty.weight=10",
        "d_repeats=5",
    ),
}
_BATCH = 64


def methods(setting: Setting) -> Section:
    """Each against the plain GAN, in one run."""
    text = (
        "Preset `mlp`, batch 64, one process, two threads; images/s counts real images, of which five critic "
        "steps see five batches. The last column is a step's time over that of the preset as it is."
    )
    contestants = {
        name: setting.gantry("mlp", _BATCH, *(word for each in sets for word in ("--set", each)))
        for name, sets in _PARTS.items()
    }
    with ready(contestants):
        turns = {name: Turn(Group([it]), setting.amount(30, 3)) for name, it in contestants.items()}
        times = play(turns, setting.amount(5, 2))
    rows = [
        (
            *speed_row(name, times, it.peak_mib, _BATCH * (5 if "d_repeats=5" in _PARTS[name] else 1)),
            ratios(times[name], times["as it is"]).text(),
        )
        for name, it in contestants.items()
    ]
    head = ("part", "ms a step", "images/s", "peak memory", "times")
    return Section("What parts add", text, tables=[table(head, rows)])
