"""Combinations of parts: every pair of two parts that is allowed, in as few runs as a greedy search needs."""

from functools import cache
from itertools import combinations

from trainer.config import RunConfig, resolve
from trainer.errors import ConfigError
from trainer.losses import LOSSES
from trainer.networks import conditioning
from trainer.regularizers import REGULARIZERS

_STRENGTH = {
    "label_smoothing": "weight=0.1",
    "weight_clipping": "limit=0.05",
    "instance_noise": "stddev=0.5",
    "logit_centering": "weight=0.1",
    "gradient_penalty": "weight=10",
}
_MORE = {"instance_noise": ("regularizers.instance_noise.decay_to=5",)}
COMMON = (
    "batch_size=8",
    "steps=3",
    "xla=off",
    "network.latent_size=6",
)
NETWORKS = {
    "mlp": ("mlp", "network.generator_units=[12]", "network.discriminator_units=[12]"),
    "mlp_spectral": (
        "mlp", "network.generator_units=[12]", "network.discriminator_units=[12]",
        "network.discriminator_normalization=spectral",
    ),
    "dcgan": ("dcgan", "network.generator_filters=[6,4]", "network.discriminator_filters=[4,6]"),
    "dcgan_plain": (
        "dcgan", "network.generator_filters=[6,4]", "network.discriminator_filters=[4,6]",
        "network.discriminator_normalization=none",
    ),
    "dcgan_spectral": (
        "dcgan", "network.generator_filters=[6,4]", "network.discriminator_filters=[4,6]",
        "network.discriminator_normalization=spectral",
    ),
    "dcgan_bare": (
        "dcgan", "network.generator_filters=[6,4]", "network.discriminator_filters=[4,6]",
        "network.discriminator_normalization=none", "network.generator_normalization=none",
    ),
    "sngan": (
        "mlp", "network.name=sngan", "network.generator_filters=[6,5,4]",
        "network.discriminator_filters=[4,6]",  # both halve: sums over a larger map make scores of 100
    ),
    "sngan_attention": (
        "mlp", "network.name=sngan", "network.generator_filters=[6,5,4]",
        "network.discriminator_filters=[4,6]", "network.attention=14", "network.generator_normalization=none",
    ),
    "r3gan": (
        "mlp", "network.name=r3gan", "network.widths=[6,4]", "network.groups=[3,2]", "network.blocks=1",
    ),
}  # fmt: skip
OPTIONS = {
    "average": ("averaging.half_life_images=20",),
    "d_repeats": ("d_repeats=2",),
    "g_repeats": ("g_repeats=2",),
    "microbatch": ("microbatch=2",),
    "packing": ("packing=2",),
    "bfloat16": ("precision=bfloat16",),
    "float16": ("precision=float16",),
    "rates": (
        "optimizer.generator.learning_rate=1e-3", "optimizer.discriminator.beta1=0",
        "optimizer.clip_norm=0.1", "optimizer.schedule.warm_up_steps=2",
        "optimizer.schedule.kind=cosine", "optimizer.schedule.decay_to=4",
    ),
}  # fmt: skip
CONDITIONINGS = {
    name: (f"conditioning.kind={name}", "conditioning.classes=3") for name in conditioning.CONDITIONINGS
}
AUGMENTATIONS = {
    "diffaugment": ("augmentation.kind=diffaugment",),
    "ada": (
        "augmentation.kind=ada", "augmentation.p=0.5", "augmentation.every=2", "augmentation.images=160",
    ),
    "ada_fixed": ("augmentation.kind=ada", "augmentation.p=0.5", "augmentation.target=0"),
    "flip": ("data.flip=true",),
}  # fmt: skip
EVERY = {"r1": "every=2", "gradient_penalty": "every=2"}  # lazily too, under a name of their own

Part = tuple[str, str]
"""A kind of part, and which one of it."""


def parts() -> dict[str, dict[str, tuple[str, ...]]]:
    """Every part by kind and name, as ``--set`` has it; "-" is none of that kind."""
    regularizers = {"-": ()}
    for name in REGULARIZERS:
        first = f"regularizers.{name}.{_STRENGTH.get(name, 'weight=1')}"
        regularizers[name] = (first, *_MORE.get(name, ()))
        if name in EVERY:
            regularizers[f"{name}_lazy"] = (first, f"regularizers.{name}.{EVERY[name]}")
    return {
        "network": NETWORKS,
        "loss": {name: (f"loss={name}",) for name in LOSSES},
        "regularizer": regularizers,
        "conditioning": {"-": (), **CONDITIONINGS},
        "option": {"-": (), **OPTIONS},
        "augmentation": {"-": (), **AUGMENTATIONS},
    }


KINDS = tuple(parts())


def resolved(chosen: dict[str, str]) -> RunConfig:
    """The configuration of one part of each kind; raises `ConfigError` where they do not go together."""
    table = parts()
    preset, *sets = table["network"][chosen["network"]]
    for kind in KINDS[1:]:
        sets += table[kind][chosen[kind]]
    return resolve(preset, [*COMMON, *sets])


def allowed(chosen: dict[str, str]) -> bool:
    """Whether the parts go together."""
    try:
        resolved(chosen)
    except ConfigError:
        return False
    return True


@cache
def everything(kinds: tuple[str, ...] = KINDS) -> list[dict[str, str]]:
    """All combinations of one part of each of these kinds that go together, and the first of the others."""
    found: list[dict[str, str]] = [{}]
    for kind, named in parts().items():
        chosen = [*named] if kind in kinds else [next(iter(named))]
        found = [{**each, kind: name} for each in found for name in chosen]
    return [each for each in found if allowed(each)]


def pairs(case: dict[str, str]) -> set[tuple[Part, Part]]:
    """The pairs of parts that a combination shows."""
    return set(combinations(sorted(case.items()), 2))


@cache
def pairwise(kinds: tuple[str, ...] = KINDS) -> list[dict[str, str]]:
    """Combinations in which every pair that any allowed combination has comes at least once."""
    candidates = everything(kinds)
    left = set().union(*(pairs(case) for case in candidates))
    chosen = []
    while left:
        best = max(candidates, key=lambda case: len(pairs(case) & left))
        chosen.append(best)
        left -= pairs(best)
    return chosen


REPRESENTATIVE = (
    {
        "network": "dcgan",
        "loss": "bce",
        "regularizer": "-",
        "conditioning": "acgan",
        "option": "average",
        "augmentation": "diffaugment",
    },
    {
        "network": "mlp_spectral",
        "loss": "rpgan",
        "regularizer": "r1_lazy",
        "conditioning": "projection",
        "option": "d_repeats",
        "augmentation": "-",
    },
    {
        "network": "mlp",
        "loss": "hinge",
        "regularizer": "instance_noise",
        "conditioning": "-",
        "option": "microbatch",
        "augmentation": "ada",
    },
    {
        "network": "r3gan",
        "loss": "rpgan",
        "regularizer": "r2",
        "conditioning": "-",
        "option": "-",
        "augmentation": "-",
    },
)
"""What CI runs of them."""
