"""A run's data: looked at before anything is written, pinned at the first start, and the same until the end.

Nothing here imports TensorFlow, so what is wrong with the data is said in the first second. The chief writes
the pin; each worker compares what it sees with it.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from trainer.config import BLOCK, RunConfig
from trainer.config.sources import absolute
from trainer.data import (
    ArraySource,
    ImageSource,
    Look,
    Pin,
    differences,
    oddities,
    open_source,
    read_pin,
    require_labels,
    require_streamable,
    seen,
)
from trainer.data.holdout import HeldOut, own, split
from trainer.data.look import too_large, unfit
from trainer.data.sources import problem
from trainer.errors import ObjectMissing, PeerLost, UserError
from trainer.run import layout
from trainer.run.record import Record
from trainer.run.status import now
from trainer.storage import Store
from trainer.survey import classes_fit, headline, resolve, warnings

_LOOKS, _PAUSE_SECONDS = 20, 0.5  # for what the chief has written just before

Say = Callable[[str], None]


class Dataset(NamedTuple):
    """A set as this process has it."""

    source: ImageSource
    """In memory unless it is streamed."""
    streaming: bool
    pin: Pin
    is_new: bool
    """Whether the pin is still to be written."""
    held_out: HeldOut | None = None
    """What is not trained on, and not of `source`."""

    def told(self) -> dict[str, Any]:
        """What run.json says of it."""
        if self.held_out is None:
            return self.pin.summary()
        held = {"images": self.held_out.source.count, "fingerprint": self.held_out.fingerprint}
        return self.pin.summary() | {"held_out": held}


class Accept(NamedTuple):
    """Whether a person accepts data that has changed."""

    wanted: bool = False
    attempt: str = ""
    """Name of the attempt that was started so: each one accepts once, however often its pods restart."""


def pinned(store: Store, known: Record | None, accepting: bool = False) -> Pin | None:
    """The data that a run began with; None where it has not begun, or before there were pins.

    One that is gone is None too where what has changed is accepted.

    Raises:
        UserError: it was written, and is gone or damaged.
    """
    if known is None or not known.has_begun:
        return None
    try:
        content = store.read(layout.DATA)
    except ObjectMissing:
        if accepting or "images" not in (known.values.get("data") or {}):
            return None
        raise UserError(
            f"{store.url}/{layout.DATA} is gone, which lists the data that the run began with: put it back, "
            "or go on with what is there by --accept-changed-data"
        ) from None
    return read_pin(f"{store.url}/{layout.DATA}", content)


def look(config: RunConfig, pin: Pin | None, accept: Accept, say: Say) -> Dataset:
    """Open a run's data, all of it unless it is streamed, and say what was found.

    Args:
        config: what the run is.
        pin: the data that it began with, if it has.
        accept: whether what has changed since is accepted.
        say: takes each line.

    Raises:
        DataError, AccessError: it is not what the run needs, not what it began with, or not there.
    """
    accepting = accept.wanted and pin is not None
    if accepting and pin and accept.attempt:
        accepting = all(each.get("attempt") != accept.attempt for each in pin.accepted)
    data = config.data
    source = pin.source if pin else resolve(absolute(data.source))
    found = Look(
        source,
        pin.by_name if pin and not accepting else None,
        pin.skipped if pin and not accepting else (),
        labels=data.labels != "none",
        labelled=config.labelled,
        skip_damaged=data.skip_damaged and (pin is None or accepting),
        limit=None if data.placement == "memory" else data.memory_limit_mb << 20,
        cache_blocks=2 * data.shuffle_window // BLOCK,  # this window and the next
    )
    opened = open_source(source, config.image.shape, look=found)
    streaming = streams_from_shards(opened, config)
    if not streaming:
        try:
            opened = opened.gather()
        except MemoryError as error:
            raise unfit(source, error) from error
        opened.label_problem = found.label_problem
    found.check()
    check_classes(config, opened)
    new = seen(source, opened.count, found)
    if accepting and pin:
        new = _accepted(pin, new, accept, say)
    elif pin:
        new = pin
    _tell(config, opened, found, say)
    held = None
    if data.holdout_source:
        held = own(config, new)
    elif data.holdout:
        if not isinstance(opened, ArraySource):
            raise problem(
                source,
                f"data.holdout is {data.holdout:g}, expected 0 for a set that is streamed: name one of its "
                "own by data.holdout_source, or set data.placement=memory",
            )
        opened, held = split(opened, data.holdout, new.fingerprint)
    if held:
        say(f"data.source {source}: {held.source.count} images are held out, {opened.count} are trained on")
    return Dataset(opened, streaming, new, new != pin, held)


def _accepted(old: Pin, new: Pin, accept: Accept, say: Say) -> Pin:
    """The new pin with the history of what was accepted; the old one where nothing has changed."""
    changes = differences(old, new)
    if not any(changes.values()):
        return replace(new, accepted=old.accepted)
    told = ", ".join(f"{len(names)} {how}" for how, names in changes.items() if names)
    say(f"data.source {new.source} has changed since the run began, which is accepted: files {told}")
    entry = {
        "at": now(),
        "attempt": accept.attempt,
        "before": old.fingerprint,
        **{how: len(names) for how, names in changes.items()},
    }
    return replace(new, accepted=(*old.accepted, entry))


def check_classes(config: RunConfig, source: ImageSource) -> None:
    """Refuse a set without the labels that the networks are to be told.

    Raises:
        DataError: it has none, or of another number of classes.
    """
    if config.conditioning.on:
        require_labels(source)
        classes_fit(config, source.name, len(source.label_names or ()))


def _tell(config: RunConfig, source: ImageSource, found: Look, say: Say) -> None:
    odd = oddities(source)  # before a word, as storage may not answer and all of it be told again
    count = len(source.label_names or ())
    say(headline(source.name, source.count, source.shape, count, used=config.conditioning.on))
    for line in found.lines():
        say(f"note: data.source {source.name}: {line}")
    for line in [*warnings(config, source.count, len(found.coloured)), *odd]:
        say(f"warning: data.source {source.name}: {line}")


def read(store: Store, pause: Callable[[float], object] = time.sleep) -> Pin:
    """What the chief has written, for the other workers once they know that it has.

    Raises:
        PeerLost: it does not come to be seen.
    """
    for _ in range(_LOOKS):
        try:
            return read_pin(f"{store.url}/{layout.DATA}", store.read(layout.DATA))
        except ObjectMissing:
            pause(_PAUSE_SECONDS)
    raise PeerLost(f"{store.url}: there is no {layout.DATA}, {_LOOKS} looks long")


def streams_from_shards(source: ImageSource, config: RunConfig) -> bool:
    """Whether this set is streamed rather than kept in memory.

    Raises:
        DataError: the set is too large for memory, or to be streamed, but is no set of shards.
    """
    data = config.data
    if data.placement == "stream":
        require_streamable(source, "data.placement is stream, and only shards can be streamed")
        return True
    limit = data.memory_limit_mb << 20
    if data.placement == "memory" or source.nbytes <= limit:
        return False
    if not source.streamable:
        raise too_large(source.name, source.nbytes, limit)
    return True
