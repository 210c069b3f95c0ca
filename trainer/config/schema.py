"""What a run is: every hyperparameter, with its unit, its range and where its default comes from.

The shape of the cluster (workers, GPUs, image) is not here: the launcher's `RunSpec` holds it. A run gives
the same result whatever that shape is, but for rounding.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trainer import augment, losses
from trainer.augment import Augmentation
from trainer.config import freezing
from trainer.config.evaluation import Evaluation
from trainer.config.fitting import (
    check_holdout,
    check_microbatch,
    check_packing,
    check_parts,
    check_precision,
)
from trainer.config.optimizer import Optimizer
from trainer.config.sources import parse_source
from trainer.health.settings import Health
from trainer.networks import Mlp, Network
from trainer.networks.conditioning import Conditioning
from trainer.regularizers import Regularizers
from trainer.sections import Fraction, Image, Positive, Section

MOST_ROWS = 32
"""Of a grid of samples."""
BLOCK = 256
"""Neighbouring images that are shuffled and read together from a shard (64x64 RGB: 3 MiB)."""


def _run_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", value):
        raise ValueError("expected latest, or the name of a run: lower case letters, digits and dashes")
    return value


def _listed(value: object) -> object:
    """One text alone as a list of it."""
    return (value,) if isinstance(value, str) else value


def _source(value: str) -> str:
    parse_source(value)
    return value


def _holdout_source(value: str) -> str:
    return value if value == "test" else _source(value)


class Data(Section):
    """Where real images come from and how they are ordered."""

    source: Annotated[str, Field(min_length=1), AfterValidator(_source)] = "digits"
    """digits, emoji, idx:<folder>, npz:<file>, images:<folder>, tfrecord:<glob> or keras:<name>.

    A folder called `latest` on the way, as in `tfrecord:gs://bucket/faces/latest/`, is taken as it is where
    there is one; where there is none it stands for the newest of its siblings by name, as dated folders have
    it. That is looked up once, when the run begins: data.json lists the files that a run began with, and it
    trains on these alone until it ends.
    """
    labels: Literal["auto", "none", "required"] = "auto"
    """auto: those of the set, if it has any that can be used; none: sub-folders and labels mean nothing;
    required: a set without is refused, and of `emoji` those alone are taken that have one.

    `conditioning.kind` uses them, and requires them.
    """
    skip_damaged: bool = False
    """Whether damaged files of `images:` are left out, and written down, instead of refused."""
    holdout: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the set that is never trained on and by which the run is judged, chosen by each image's own
    content; 0 holds none out, and then nobody can tell whether images are copied. Of sets in memory alone."""
    holdout_source: Annotated[str, AfterValidator(_holdout_source)] | None = None
    """A set of its own in the place of a share of `source`, whose images are held in memory; test: the test
    files beside those of an `idx:` folder."""
    placement: Literal["auto", "memory", "stream"] = "auto"
    """Keep the set in the device's memory or stream it from shards; auto decides by `memory_limit_mb`."""
    memory_limit_mb: Positive = 1024
    """Largest set, in MiB of 8-bit images, that `placement: auto` keeps in memory."""
    shuffle_window: Annotated[int, Field(ge=BLOCK, multiple_of=BLOCK)] = 16384
    """Images that are shuffled together; sets up to this size are shuffled as a whole."""
    flip: bool = False
    """Whether each image is mirrored, left for right, with probability 1/2 whenever it is drawn."""


class Averaging(Section):
    """The generator's weights averaged over the run, of which its images are better than of the last ones."""

    half_life_images: Annotated[int, Field(ge=0)] = 0
    """Images after which a weight counts half in the average (Karras et al. 2020: 10,000 to 500,000); 0 keeps
    none."""
    ramp_up: Fraction = 0.05
    """Share of the images so far that the half-life is at most, so that the first weights are soon forgotten
    (Karras et al. 2020: 0.05); 0 is no limit."""


class Checkpoints(Section):
    """When the run's state is saved and how much of it is kept."""

    every_steps: Positive = 1000
    """Steps between two checkpoints; the last step is always saved."""
    keep: Positive = 3
    """Newest complete checkpoints that are kept."""
    keep_every: Annotated[int, Field(ge=0)] = 0
    """Also keep each checkpoint whose step is a multiple of this many steps; 0 keeps none beyond `keep`."""


class Samples(Section):
    """Grids of generated images from latents that stay the same for the whole run."""

    every_steps: Positive = 1000
    """Steps between two grids; the last step always has one."""
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 5
    """Rows of the grid, in images; with labels there is one for each class instead, of the first 32."""
    columns: Annotated[int, Field(ge=1, le=32)] = 5
    """Columns of the grid, in images."""


class Metrics(Section):
    """What is written about training as it goes."""

    every_steps: Positive = 50
    """Steps between two lines of `metrics/`; the last step always has one."""
    print_every_steps: Positive = 1000
    """Steps between two printed lines, rounded up to a line of `metrics/`."""


class WarmStart(Section):
    """Which weights a run begins from, other than new ones; looked up once, and written into run.json."""

    run: Annotated[str, AfterValidator(_run_name)] | None = None
    """Name of a run of the same experiment, latest for the newest finished one, or null for new weights."""
    optimizer: Literal["fresh", "kept"] = "fresh"
    """fresh: Adam begins anew; kept: with that run's moments and count of steps."""
    required: bool = True
    """Whether nothing to begin from is a mistake; if not, the run begins with new weights then."""
    fit: Literal["all", "some"] = "all"
    """all: every variable has one of its name and shape in that run, or this one is refused; some: those that
    have are taken, of another size or number of classes, and the others begin as new, which is said."""
    freeze: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)] = ()
    """Layers that stay as they were there, by their names in a checkpoint, such as discriminator/conv_1, by
    what stands before a slash, or by a glob, as in [discriminator/conv_*] (Mo et al. 2020, arXiv:2002.10964:
    the first ones of the discriminator)."""


class Recovery(Section):
    """How long to put up with trouble; nothing here changes a result, so a resumed run may change it."""

    heartbeat_seconds: Annotated[int, Field(ge=2, le=600)] = 10
    """Silence after which a worker is taken for lost (TensorFlow's coordination service: 10)."""
    stall_seconds: Annotated[int, Field(ge=10)] = 600
    """Time without a step after which a worker starts again; at least ten times a call of steps."""
    storage_patience_seconds: Annotated[int, Field(ge=1)] = 600
    """How long storage may be away while training has to wait for it."""
    restarts_without_progress: Annotated[int, Field(ge=0)] = 5
    """Restarts of the trainer in a pod without a newer checkpoint, after which the pod gives up."""


class RunConfig(Section):
    """A whole run: enough to reproduce it."""

    network: Annotated[Network, Field(discriminator="name")] = Mlp()
    """Architecture of generator and discriminator."""
    image: Image = Image()
    """Shape of the images."""
    conditioning: Conditioning = Conditioning()
    """What the networks are told of an image's class."""
    loss: losses.Name = "bce"
    """What the two networks play for; `python -m trainer parts` lists them."""
    regularizers: Regularizers = Regularizers()
    """What holds the discriminator back."""
    augmentation: Augmentation = Augmentation()
    """What images go through before the discriminator sees them, where there are few."""
    steps: Positive = 10000
    """Rounds: the discriminator is updated `d_repeats` times, then the generator `g_repeats` times."""
    d_repeats: Annotated[int, Field(ge=1, le=16)] = 1
    """Updates of the discriminator in a step, each with real images of its own (Arjovsky et al. 2017: 5)."""
    g_repeats: Annotated[int, Field(ge=1, le=16)] = 1
    """Updates of the generator in a step."""
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 64
    """Global batch: real images for each update of the discriminator, over all replicas together."""
    microbatch: Annotated[int, Field(ge=0, le=65536)] = 0
    """Images of one replica that are computed at once, for less memory; 0 is all of its batch, which has to
    be a multiple. The same sums, and one update of all of them (gradient accumulation)."""
    packing: Annotated[int, Field(ge=1, le=16)] = 1
    """Images of a batch that the discriminator judges together, as channels of one (PacGAN, Lin et al. 2018,
    arXiv:1712.04086, section 2: 2 to 4); each replica's batch has to be a multiple."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of everything random: first weights, order of images, latents."""
    xla: Literal["auto", "off"] = "auto"
    """Compile the step with XLA where it helps, or never (auto: one replica, no BatchNormalization, and on a
    CPU no convolution)."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type that both networks compute in; weights, losses, penalties, statistics, Adam, the average, grids
    and the export are float32 in each (Micikevicius et al. 2018, arXiv:1710.03740). float16 has a dynamic
    loss scale."""
    data: Data = Data()
    """The real images."""
    optimizer: Optimizer = Optimizer()
    """How weights are updated."""
    averaging: Averaging = Averaging()
    """The average of the generator that grids, `sample` and the export show."""
    warm_start: WarmStart = WarmStart()
    """The run whose weights it begins from."""
    checkpoints: Checkpoints = Checkpoints()
    """The run's safety net."""
    samples: Samples = Samples()
    """The grids a person looks at."""
    metrics: Metrics = Metrics()
    """Losses and speed over time."""
    evaluation: Evaluation = Evaluation()
    """Whether its images are good."""
    health: Health = Health()
    """What is done about a game that is over."""
    recovery: Recovery = Recovery()
    """Patience with lost workers and storage."""

    @model_validator(mode="after")
    def _fits(self) -> "RunConfig":
        """Networks, images, labels, loss and regularizers fit together."""
        self.network.check(self.image)
        data = self.data
        check_holdout(data.holdout, data.holdout_source, data.placement, data.source)
        if self.conditioning.on and self.data.labels == "none":
            raise ValueError(
                f"data.labels is none, expected auto with conditioning.kind {self.conditioning.kind}"
            )
        self.evaluation.check(self.metrics.every_steps, self.image)
        if self.warm_start.freeze:
            freezing.check(self.warm_start, self)
        check_parts(self.loss, self.regularizers, self.network, self.image)
        augment.check(self.augmentation, self.loss)
        check_precision(self.precision, self.regularizers)
        check_packing(self.packing, self.batch_size, self.microbatch, self.conditioning)
        check_microbatch(self.microbatch, self.batch_size, self.network, self.image)
        return self

    @property
    def labelled(self) -> bool:
        """Whether images have to have a label."""
        return self.conditioning.on or self.data.labels == "required"

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of a grid of samples."""
        rows = min(self.conditioning.classes, MOST_ROWS) if self.conditioning.on else self.samples.rows
        return rows, self.samples.columns

    @property
    def images_per_step(self) -> int:
        """Real images that one step takes of the set, over all replicas together."""
        return self.batch_size * self.d_repeats

    def per_replica_batch(self, replicas: int) -> int:
        """Images of each step that one of `replicas` replicas takes.

        Raises:
            ValueError: the global batch cannot be divided evenly.
        """
        if self.batch_size % replicas:
            raise ValueError(f"batch_size {self.batch_size} is not divisible by {replicas} replicas")
        here = self.batch_size // replicas
        if here % self.packing:
            raise ValueError(
                f"packing is {self.packing}, expected a divisor of {here}: batch_size "
                f"{self.batch_size} over {replicas} replicas"
            )
        if self.microbatch and here % self.microbatch:
            raise ValueError(
                f"microbatch is {self.microbatch}, expected a divisor of {here}: batch_size "
                f"{self.batch_size} over {replicas} replicas"
            )
        return here
