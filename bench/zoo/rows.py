"""The rows: a name, a preset and what is different. A new one is a line."""

from typing import NamedTuple

from trainer.config import RunConfig, resolve

IMAGES = 64_000
"""Images that a row's generator is updated with; a critic's own come on top."""
SAMPLES = 10_000
"""Images that are judged."""
ONE, THREE = (0,), (0, 1, 2)
_LONG = 204_800


class Row(NamedTuple):
    """Runs that differ in the seed alone."""

    name: str
    preset: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ONE
    images: int = IMAGES

    def words(self, seed: int) -> tuple[str, ...]:
        """Everything that the preset is overridden with: the row's own, its length and the seed.

        A schedule that falls does so over the second half.
        """
        some_end = ("optimizer.schedule.decay_from=0", "optimizer.schedule.decay_to=1")
        plain = resolve(self.preset, (*self.overrides, *some_end))
        steps = self.images // (plain.batch_size * plain.g_repeats)
        late: tuple[str, ...] = ()
        if plain.optimizer.schedule.kind != "constant":
            late = (f"optimizer.schedule.decay_from={steps // 2}", f"optimizer.schedule.decay_to={steps}")
        every = (f"{section}.every_steps={steps}" for section in ("checkpoints", "samples"))
        return (*self.overrides, *late, f"steps={steps}", *every, f"seed={seed}")

    def config(self, seed: int) -> RunConfig:
        """The resolved configuration of one seed."""
        return resolve(self.preset, self.words(seed))


# The small pair: 64-32-1 transposed against 32-64, 4x4 kernels, no normalization in the discriminator.
_PAIR = (
    "network.latent_size=64",
    "network.generator_filters=[64,32]",
    "network.discriminator_filters=[32,64]",
    "network.kernel=4",
    "network.discriminator_normalization=none",
    "batch_size=64",
    "optimizer.learning_rate=1e-3",
    "optimizer.beta1=0.5",
    "optimizer.beta2=0.99",
    "optimizer.schedule.kind=linear",
)
# gamma / 2 |grad|^2 with gamma 1; by noise half the weight does the same (trainer/regularizers/__init__.py).
_R1 = ("regularizers.r1.weight=1", "regularizers.r1.every=8")
_R2 = ("regularizers.r2.weight=1", "regularizers.r2.every=8")
_NOISE_R1 = ("regularizers.noise_r1.weight=0.5",)
_AVERAGE = ("averaging.half_life_images=9000",)  # .995 a step of 64
_WGAN_GP = (
    "loss=wasserstein",
    "regularizers.gradient_penalty.weight=10",
    "d_repeats=5",
    "optimizer.learning_rate=1e-4",
    "optimizer.beta1=0",
    "optimizer.beta2=0.9",
)

_WGAN_CLIP = (
    "loss=wasserstein",
    "regularizers.weight_clipping.limit=0.01",
    "d_repeats=5",
    "optimizer.learning_rate=5e-5",
    "optimizer.beta1=0",
)
_SPECTRAL = "network.discriminator_normalization=spectral"
_CENTERING = "regularizers.logit_centering.weight=0.01"

_LABELS = tuple(
    (f"pair-{kind}", (f"conditioning.kind={kind}",)) for kind in ("concatenation", "projection", "acgan")
)

ROWS = (
    Row("mlp", "mlp", (), THREE),
    Row("mlp-minimax", "mlp", ("loss=minimax",)),
    Row("mlp-hinge", "mlp", ("loss=hinge",)),
    Row("mlp-lsgan", "mlp", ("loss=lsgan",)),
    Row("mlp-rpgan", "mlp", ("loss=rpgan",)),
    Row("mlp-wgan-gp", "mlp", _WGAN_GP),
    Row("mlp-wgan-clip", "mlp", _WGAN_CLIP),
    Row("mlp-r1", "mlp", _R1, THREE),
    Row("mlp-average", "mlp", _AVERAGE),
    Row("mlp-label-smoothing", "mlp", ("regularizers.label_smoothing.weight=0.1",)),
    Row(
        "mlp-instance-noise",
        "mlp",
        ("regularizers.instance_noise.stddev=0.1", "regularizers.instance_noise.decay_to=1000"),
    ),
    Row("mlp-packing", "mlp", ("packing=2",)),
    Row("mlp-projection", "mlp", ("conditioning.kind=projection",)),
    Row("pair", "dcgan", _PAIR, THREE),
    Row("pair-r1", "dcgan", (*_PAIR, *_R1)),
    Row("pair-average", "dcgan", (*_PAIR, *_AVERAGE)),
    Row("pair-batch-norm", "dcgan", (*_PAIR, "network.discriminator_normalization=batch")),
    Row("pair-spectral-hinge", "dcgan", (*_PAIR, _SPECTRAL, "loss=hinge")),
    Row("pair-r1-average", "dcgan", (*_PAIR, *_R1, *_AVERAGE), THREE),
    Row("pair-noise-r1-average", "dcgan", (*_PAIR, *_NOISE_R1, *_AVERAGE)),
    Row("pair-rpgan-r1-r2-average", "dcgan", (*_PAIR, "loss=rpgan", *_R1, *_R2, *_AVERAGE)),
    Row("pair-r1-average-centering", "dcgan", (*_PAIR, *_R1, *_AVERAGE, _CENTERING)),
    *(
        Row(name, "dcgan", (*_PAIR, *_R1, *_AVERAGE, *labels), THREE if "projection" in name else ONE)
        for name, labels in _LABELS
    ),
    Row("dcgan", "dcgan"),
    Row("dcgan-no-batch-norm", "dcgan", ("network.discriminator_normalization=none",)),
    Row("demo", "demo", (), THREE, _LONG),
    Row("demo-no-r1", "demo", ("regularizers.r1.weight=0",), images=_LONG),
    Row("demo-no-average", "demo", ("averaging.half_life_images=0",), images=_LONG),
)
