"""Keys of the streams: one for each seed and purpose, mixed with an epoch where there is one."""

import hashlib
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import tensorflow as tf

_WORD = 2**64 - 1


class Purpose(IntEnum):
    """The second half of each seed, so that no two streams ever share a key; the numbers never change."""

    NOISE = 0
    SAMPLES = 1
    BLOCK_ORDER = 2
    WINDOW_ORDER = 3


def key(seed: int, purpose: Purpose) -> int:
    """One key for a seed and a purpose; seeds are below 2**31, so keys never meet."""
    return seed * 16 + purpose


def stream(seed: int, purpose: str, repeat: int = 0) -> int:
    """The key of any other purpose: 64 bits of a hash, signed; `repeat` counts its draws within one step.

    Sixteen numbered purposes are all that fit between two seeds: number 16 would be the next seed's first.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{repeat}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


_APART = 2**40  # steps between two branches: more than any run takes


def on_branch(step: Any, begins: Sequence[int]) -> Any:
    """The number by which streams know a step, int64 scalar: itself, unless the run was rolled back.

    `begins` are the steps that rollbacks went back to, the first one first. From each on a step draws as no
    other does, and before it as it always did; so a run that loses newer checkpoints repeats itself.
    """
    branch = 0
    for number, begin in enumerate(begins, 1):
        branch = tf.where(step >= begin, tf.constant(number, tf.int64), branch)
    return step + branch * _APART if begins else step


def mixed(word: int, first: int, second: int) -> int:
    """64 even bits for three numbers: the mixing function of SplitMix64.

    It is the one of Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"; the factors
    before it are odd numbers without structure (the golden ratio's and two of xxHash's).
    """
    state = word * 0x9E3779B97F4A7C15
    state += first * 0xC2B2AE3D27D4EB4F + second * 0x165667B19E3779F9
    state &= _WORD
    for by, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ state >> by) * factor & _WORD
    return state ^ state >> 31
