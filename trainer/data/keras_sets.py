"""``keras:<name>``: small well-known sets that Keras downloads at first use."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.look import Look
from trainer.data.sources import ArraySource, Shape, problem
from trainer.environment import surroundings
from trainer.environment.paths import at_home
from trainer.environment.quiet import load_tensorflow
from trainer.survey.shapes import KNOWN, check_shape

_TIMEOUT_SECONDS = 30  # urllib, which Keras downloads with, would wait for ever
_FASHION = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle-boot"
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
# For each of `KERAS_SETS`, the names of its labels where they are not plain numbers, and Keras's file.
_SETS = {
    "mnist": ("", "mnist.npz"),
    "fashion_mnist": (_FASHION, "fashion-mnist"),
    "cifar10": (_CIFAR10, "cifar-10-batches-py-target"),
    "cifar100": ("", "cifar-100-python-target"),
}


def open_images(which: str, shape: Shape | None, look: Look) -> ArraySource:
    """The training images of mnist, fashion_mnist, cifar10 or cifar100. Example: ``keras:fashion_mnist``.

    Keras keeps what it downloads in ``$KERAS_HOME/datasets`` (else ``~/.keras/datasets``); a line on stderr
    says so when the set is not there yet.

    Raises:
        DataError: the download failed, or the model needs another shape.
    """
    name = look.name
    names, cached = _SETS[which]
    if known := KNOWN[name].shape:
        check_shape(name, known, shape)  # before it is downloaded
    home = _home()
    folder = home / "datasets"
    if not (folder / cached).exists():
        print(f"{name}: not in {folder}, downloading it (at first use only)", file=sys.stderr)
    images, values = _download(name, which, home)
    look.choose(["images"])
    look.saw("images", images.tobytes())
    labels, numbers = look.tidy(np.asarray(values), len(images))
    images = images if images.ndim == 4 else images[..., np.newaxis]
    return ArraySource(
        name, images, shape, labels, (tuple(names.split()) or numbers) if labels is not None else None
    )


def _home() -> Path:
    """Where Keras would look, were its settings there not kept from us; /tmp without a home folder."""
    found = at_home(surroundings.data_sets_home(os.environ))
    return found or Path("/tmp/.keras")


def _download(name: str, which: str, home: Path) -> tuple[Any, Any]:
    """Images and labels from Keras, whose progress bar goes to stderr: stdout may be somebody's JSON."""
    load_tensorflow()
    from keras import datasets

    try:
        with redirect_stdout(sys.stderr), _patience(_TIMEOUT_SECONDS), _cached_in(home):
            (images, labels), _ = getattr(datasets, which).load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise problem(name, f"Keras could not download or read the set: {error}") from error
    return images, labels


@contextmanager
def _cached_in(home: Path) -> Iterator[None]:
    """Have Keras keep its data sets below `home`; it takes its settings and them from one folder else."""
    from keras.src.backend import config

    before, config._KERAS_DIR = config._KERAS_DIR, str(home)
    try:
        yield
    finally:
        config._KERAS_DIR = before


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Give up on connections that say nothing for so long."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
