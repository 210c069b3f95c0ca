"""What is measured in training: one table that everything which prints or draws goes through.

A line of metrics is ``{"step": …, "images": …, name: value, …}``; `METRICS` says of each name what people
call it and where it is drawn. Adding one: a row here, and whoever computes it writes its name into the line.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Panel(NamedTuple):
    """Metrics that are drawn together, against steps."""

    title: str
    axis: str
    """Beside the vertical axis, with the unit."""
    unit: str = ""
    """``%`` for shares, which are stored from 0 to 1."""
    guessing: float | None = None
    """The value, as stored, where D says 1/2 of every image; None where that means nothing."""

    @property
    def scale(self) -> float:
        """From a value as it is stored to one as it is drawn."""
        return 100.0 if self.unit == "%" else 1.0


class Metric(NamedTuple):
    """One value of a line."""

    name: str
    label: str
    """What it is, on its own."""
    short: str
    """The same in a few letters."""
    legend: str
    """Among those of its panel."""
    panel: Panel
    direction: int = 0
    """1: the higher the better, -1: the lower, 0: neither, as of the losses of two players."""
    timed: bool = False
    """Whether it depends on the machine; everything else in a line is a function of the configuration."""
    headline: bool = False
    """Whether it is among the few that stand for all."""

    def text(self, value: float) -> str:
        """A value for a line of text."""
        if self.panel.unit == "%":
            return f"{100 * value:.0f}%"
        return f"{value:.0f} {self.panel.unit}" if self.panel.unit else f"{value:.4f}"


LOSSES = Panel("Losses", "loss", guessing=math.log(2))  # Goodfellow et al. 2014, section 4.1
ACCURACIES = Panel("Discriminator's accuracy", "D accuracy (%)", "%", guessing=0.5)
PARTS = Panel("Discriminator's loss by part", "D loss")
PENALTIES = Panel("Penalties on the discriminator", "penalty")
AUGMENTED = Panel("Augmentation", "probability (%)", "%")
SCALE = Panel("Loss scale", "loss scale")
CLASSES = Panel("Classes", "cross-entropy")
CLASS_ACCURACY = Panel("Classes told right", "right (%)", "%")
DISTANCE = Panel("Frechet distance of samples", "FD")
KERNEL = Panel("Kernel distance of samples", "KID")
SLICED = Panel("Sliced Wasserstein distance of samples", "grey levels")
MANIFOLD = Panel("Precision and recall of samples", "share (%)", "%")
SAMPLED = Panel("Classes in samples", "share (%)", "%")
SEEN = Panel("Number of classes in samples", "classes")
MODES = Panel("Modes of stacked digits in samples", "modes")
DIVERGENCE = Panel("KL of modes from equal ones", "nats")
CHOICE = Panel("Figure by which the best is chosen", "figure")
OVERFITTING = Panel("Overfitting", "ratio")
VARIETY = Panel("Variety of a grid", "share")
NORMS = Panel("Norms of weights", "norm")
OF_SAMPLES = (DISTANCE, KERNEL, SLICED, MANIFOLD, CHOICE, SAMPLED, SEEN, MODES, DIVERGENCE)
"""Panels of figures that say nothing without what they were measured with."""
SPEED = Panel("Speed", "images/s", "images/s")
PANELS = (
    LOSSES, ACCURACIES, DISTANCE, KERNEL, SLICED, MANIFOLD, CHOICE, SAMPLED, SEEN, MODES, DIVERGENCE,
    OVERFITTING, PARTS, CLASSES, CLASS_ACCURACY, PENALTIES, AUGMENTED, SCALE, VARIETY, NORMS, SPEED,
)  # fmt: skip

METRICS = (
    Metric("d_loss", "discriminator's loss", "D loss", "discriminator", LOSSES, headline=True),
    Metric("g_loss", "generator's loss", "G loss", "generator", LOSSES, headline=True),
    Metric("d_accuracy_real", "D accuracy on real images", "D right on real", "on real images", ACCURACIES),
    Metric(
        "d_accuracy_fake",
        "D accuracy on generated images",
        "D right on fakes",
        "on generated images",
        ACCURACIES,
    ),
    Metric("d_loss_real", "D loss on real images", "D loss, real", "real images", PARTS),
    Metric("d_loss_fake", "D loss on generated images", "D loss, fakes", "generated images", PARTS),
    Metric("d_class_loss", "D's cross-entropy of classes", "D classes", "discriminator", CLASSES, -1),
    Metric("g_class_loss", "G's cross-entropy of classes", "G classes", "generator", CLASSES, -1),
    Metric("class_accuracy", "real images' classes told right", "class right", "real", CLASS_ACCURACY, 1),
    Metric("r1", "R1 penalty", "R1", "R1", PENALTIES),
    Metric("r2", "R2 penalty", "R2", "R2", PENALTIES),
    Metric("noise_r1", "R1 penalty by noise", "R1, noise", "R1 by noise", PENALTIES),
    Metric("noise_r2", "R2 penalty by noise", "R2, noise", "R2 by noise", PENALTIES),
    Metric("gradient_penalty", "gradient penalty", "GP", "gradient penalty", PENALTIES),
    Metric("logit_centering", "penalty on scores", "scores", "scores", PENALTIES),
    Metric("label_smoothing", "cost of smoothed labels", "labels", "smoothed labels", PENALTIES),
    Metric("augmentation_p", "augmentation's probability (p)", "p", "p", AUGMENTED),
    Metric("loss_scale", "loss scale of float16", "scale", "scale", SCALE),
    Metric("fd", "Frechet distance of samples", "FD", "training images", DISTANCE, -1),
    Metric("fd128", "Frechet distance of projected samples", "FD, 128", "projected to 128", DISTANCE, -1),
    Metric("sw", "sliced W1 of samples", "SW", "training images", SLICED, -1),
    Metric("kid", "kernel distance of samples", "KID", "training images", KERNEL, -1),
    Metric("precision", "precision of samples", "precision", "precision", MANIFOLD, 1),
    Metric("recall", "recall of samples", "recall", "recall", MANIFOLD, 1),
    Metric("classes", "classes seen in samples", "classes", "classes", SEEN, 1),
    Metric("balance", "balance of classes in samples", "balance", "balance", SAMPLED, 1),
    Metric("sure", "samples of which the classifier is sure", "sure", "sure of the class", SAMPLED, 1),
    Metric("modes", "modes seen in samples", "modes", "modes", MODES, 1),
    Metric("kl", "KL of samples' modes from equal ones", "KL", "KL", DIVERGENCE, -1),
    Metric("chosen_by", "figure on the first half of held-out images", "held out", "first half", CHOICE),
    Metric("reported", "figure on the second half of held-out images", "reported", "second half", CHOICE),
    Metric(
        "copies",
        "samples' distance to training images over held-out ones'",
        "copies",
        "distance of samples",
        OVERFITTING,
    ),
    Metric("d_overfit", "D's preference of training images (r_v)", "D overfits", "D's r_v", OVERFITTING, -1),
    Metric("spread", "spread of a grid's pixels, over real images'", "spread", "spread", VARIETY),
    Metric("repeats", "images of a grid with a twin", "twins", "twins", VARIETY, -1),
    Metric("g_norm", "norm of G's weights", "G norm", "generator", NORMS),
    Metric("d_norm", "norm of D's weights", "D norm", "discriminator", NORMS),
    Metric("images_per_second", "images/s", "speed", "images per second", SPEED, 1, timed=True),
)
BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}
HEADLINES = tuple(metric.name for metric in METRICS if metric.headline)
TIMED = tuple(metric.name for metric in METRICS if metric.timed)
(RATE,) = TIMED
"""Name of the speed, in images of the global batch a second."""
# The page's own line.
_PROGRESS = "[D loss: {d_loss} | D accuracy: {d_accuracy_real}/{d_accuracy_fake}] [G loss: {g_loss}]"
_PROGRESS += "  {images_per_second}"


def of_panel(panel: Panel) -> list[Metric]:
    """A panel's metrics, in their order."""
    return [metric for metric in METRICS if metric.panel is panel]


def label(name: str) -> str:
    """What people call a metric; its name where the table does not know it, as of another revision's."""
    return BY_NAME[name].label if name in BY_NAME else name


def progress(values: Mapping[str, Any]) -> str:
    """The line that a trainer prints of its newest values."""
    known = {name: metric for name, metric in BY_NAME.items() if name in values}
    return _PROGRESS.format_map({name: metric.text(values[name]) for name, metric in known.items()})


def unknown(names: Iterable[str]) -> list[str]:
    """Those that the table does not have."""
    return [name for name in names if name not in BY_NAME]
