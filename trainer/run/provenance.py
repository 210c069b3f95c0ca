"""Whose weights a run begins from.

That may be another run tomorrow, so that it is looked up once, by the first chief, and written into run.json.
Every worker and every restart goes by what is written there: a run that was killed, before its first
checkpoint or after it, ends in the bits of one that nobody touched. The same holds of its data, see
`trainer.data.dataset`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from trainer import config as configuration
from trainer.config import RunConfig
from trainer.console.wording import several
from trainer.errors import CheckpointDamaged, ConfigError, PeerLost, some
from trainer.run import checkpoints, index, layout, ownership, record
from trainer.run.layout import RunPath, run_path
from trainer.run.record import Record
from trainer.storage import Store, open_store

# Fields of a network that say nothing about the shapes of its variables.
_SHAPELESS = {"network.leaky_slope", "network.weight_stddev", "network.batch_norm_momentum"}
_SOME = "; warm_start.fit=some takes those that do"
_NETWORKS = ("generator/", "discriminator/")
_LOOKS, _PAUSE_SECONDS = 20, 0.5  # for what the chief has written just before

Say = Callable[[str], None]
Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class WarmStart:
    """The checkpoint that a run's first weights are from."""

    run: str
    """Of the same experiment."""
    step: int
    optimizer: str
    """fresh, or kept: with Adam's moments and the count of its steps."""
    adam_steps: int = 0
    """Steps that Adam has taken before this run's first; 0 for a fresh one."""

    @property
    def keeps_adam(self) -> bool:
        """Whether Adam goes on where the other run's was."""
        return self.optimizer == "kept"


class Origin(NamedTuple):
    """What a run begins from."""

    warm: WarmStart | None = None

    def as_json(self) -> dict[str, Any]:
        """What run.json says of it."""
        return {"warm_start": asdict(self.warm) if self.warm else None}


class Taken(NamedTuple):
    """What a run has of another's variables, by their names in a checkpoint."""

    from_there: int
    """Variables of both networks, averages and moments not counted, that are from there."""
    new: list[str]
    """That are not."""
    frozen: list[str]
    """Weights that stay as they were there."""

    def text(self, warm: WarmStart) -> str:
        """The same in a line."""
        parts = [f"warm start from {warm.run} at step {warm.step}, optimizer {warm.optimizer}"]
        if self.new:
            every = several(self.from_there + len(self.new), "variable")
            parts.append(f"{self.from_there} of {every} from there, {len(self.new)} new: {some(self.new)}")
        if self.frozen:
            parts.append(f"{several(len(self.frozen), 'weight')} frozen: {some(self.frozen)}")
        return "; ".join(parts)


def is_open(config: RunConfig) -> bool:
    """Whether something has to be looked up when a run of this configuration begins."""
    return config.warm_start.run is not None


def recorded(config: RunConfig, known: Record | None) -> Origin | None:
    """What a run's record says of its origin; None before a chief has decided."""
    if known is None or not known.has_begun or "warm_start" not in known.values:
        return None
    try:
        warm = known.values["warm_start"]
        of_names = Taken._fields  # for people: what they are made of is the configuration
        known_ones = {key: value for key, value in (warm or {}).items() if key not in of_names}
        return Origin(WarmStart(**known_ones) if warm else None)
    except (TypeError, AttributeError):
        raise ConfigError("run.json: warm_start is not what a trainer writes there") from None


def decide(path: RunPath, config: RunConfig, known: Record | None, say: Say) -> Origin:
    """The chief's decision, or the one that was made when the run began.

    Raises:
        ConfigError: there is nothing to begin from, or its weights do not fit.
        GantryError: the store failed.
    """
    if not is_open(config):
        return Origin()
    return recorded(config, known) or Origin(_choose(path, config, say))


def read(store: Store, config: RunConfig, pause: Callable[[float], object] = time.sleep) -> Origin:
    """What the chief has decided, for the other workers once they know that it has.

    Raises:
        PeerLost: it does not come to be seen.
    """
    for _ in range(_LOOKS):
        if made := recorded(config, record.read(store)):
            return made
        pause(_PAUSE_SECONDS)
    raise PeerLost(f"{store.url}: run.json does not say what the run begins from, {_LOOKS} looks long")


def first_values(
    path: RunPath, config: RunConfig, warm: WarmStart, shapes: Mapping[str, tuple[int, ...]]
) -> Values:
    """The variables of the checkpoint that a run begins from; Adam's only if they are kept.

    Args:
        path: the run that begins.
        config: what it is.
        warm: what it begins from.
        shapes: of this run's variables, by name.

    Raises:
        ConfigError: the checkpoint is gone or damaged, or its variables have other names or shapes, where
            `warm_start.fit` is some every one of them.
    """
    where = f"warm start of run '{path.name}' from run '{warm.run}' at step {warm.step}"
    try:
        values = checkpoints.read(_other(path, config, warm.run), warm.step).values
    except CheckpointDamaged as error:
        raise ConfigError(f"{where}: {error}") from error
    own: tuple[str, ...] = (layout.AUGMENTATION, layout.PRECISION)
    own = own if warm.keeps_adam else (*own, layout.MOMENTS)
    wanted = {name for name in shapes if not name.startswith(own)}
    averages = {name: name.removeprefix(layout.AVERAGE) for name in wanted if name.startswith(layout.AVERAGE)}
    for name, weight in averages.items():  # one that the other run did not keep begins as its weight
        if name not in values and weight in values:
            values[name] = values[weight]
    if config.warm_start.fit == "some":
        return _fitting(where, {name: shapes[name] for name in wanted}, values)
    for name in sorted(wanted):
        found = values[name].shape if name in values else None
        if found != shapes[name]:
            has = "has no such variable" if found is None else f"has {found}"
            raise ConfigError(f"{where}: {name} is {shapes[name]} here, and that run {has}{_SOME}")
    return {name: values[name] for name in wanted}


def _fitting(where: str, wanted: Mapping[str, tuple[int, ...]], values: Values) -> Values:
    """Those of `values` that have the name and shape of a wanted one.

    Raises:
        ConfigError: no kernel has; every network ends in a bias of one number, which is no beginning.
    """
    found = {
        name: values[name] for name, shape in wanted.items() if name in values and values[name].shape == shape
    }
    if not any(len(wanted[name]) > 1 and name.startswith(_NETWORKS) for name in found):
        raise ConfigError(f"{where}: no kernel there has the name and shape of one here, expected some")
    return found


def taken(
    path: RunPath,
    warm: WarmStart,
    shapes: Mapping[str, tuple[int, ...]],
    values: Values,
    frozen: Sequence[str],
) -> Taken:
    """What `first_values` has found of the networks' variables.

    Raises:
        ConfigError: a frozen weight is new, or Adam's moments are kept where some are.
    """
    own = sorted(name for name in shapes if name.startswith(_NETWORKS))
    new = [name for name in own if name not in values]
    where = f"warm start of run '{path.name}' from run '{warm.run}' at step {warm.step}"
    if stuck := [name for name in frozen if name in set(new)]:
        raise ConfigError(
            f"{where}: warm_start.freeze names {some(stuck)}, which that run does not have in this shape: "
            "frozen, what is new would never be trained"
        )
    if new and warm.keeps_adam:
        raise ConfigError(
            f"{where}: warm_start.optimizer is kept, expected fresh where weights are new: {some(new)}"
        )
    return Taken(len(own) - len(new), new, list(frozen))


def write_taken(store: Store, found: Taken) -> None:
    """Add to run.json what of a run's variables is new, and what is frozen; the chief's."""
    known = record.read(store)
    more = {key: value for key, value in (("new", found.new), ("frozen", found.frozen)) if value}
    if known is not None and more:
        record.put(store, known, {"warm_start": {**known.values["warm_start"], **more}})


def _choose(path: RunPath, config: RunConfig, say: Say) -> WarmStart | None:
    """The checkpoint to begin from; None for new weights.

    Raises:
        ConfigError: none is there, or it does not fit.
    """
    asked = config.warm_start
    if asked.run is None:
        return None
    if asked.run == path.name:
        raise ConfigError(f"warm_start.run is '{asked.run}', expected another run than the one that begins")
    passed = []
    for name in _candidates(path, config):
        there = _other(path, config, name)
        found = checkpoints.newest(there, lambda text: say(f"warning: {text}"))
        other = record.read(there)
        if found and other:
            if asked.fit == "all":
                _check_fit(path.name, config, name, other.config)
            before = (other.values.get("warm_start") or {}).get("adam_steps", 0)
            kept = asked.optimizer == "kept"
            return WarmStart(name, found.step, asked.optimizer, before + found.step if kept else 0)
        passed.append(name)
    if not asked.required:
        say(f"nothing to begin from: {_nothing(path, asked.run, passed)}; the run begins with new weights")
        return None
    raise ConfigError(f"warm_start.run is '{asked.run}': {_nothing(path, asked.run, passed)}")


def _other(path: RunPath, config: RunConfig, run: str) -> Store:
    """Another run of the experiment; asked again while it is away, as the run's own store is."""
    return ownership.patient(open_store(run_path(path.root, path.experiment, run).url), config)[0]


def _candidates(path: RunPath, config: RunConfig) -> Iterator[str]:
    """Names of the runs to try, best first."""
    asked = config.warm_start.run
    if asked is not None and asked != layout.LATEST:
        yield asked
        return
    store = ownership.patient(open_store(path.experiment_url), config)[0]
    yield from (entry.run for entry in index.finished(store) if entry.run != path.name)


def _nothing(path: RunPath, asked: str, passed: list[str]) -> str:
    if asked == layout.LATEST and not passed:
        return f"no run in {path.experiment_url} is finished"
    if asked == layout.LATEST:
        return f"no finished run in {path.experiment_url} has a complete checkpoint ({', '.join(passed[:5])})"
    there = run_path(path.root, path.experiment, asked)
    if record.read(open_store(there.url)) is None:
        return f"there is no run {there.url}"
    return f"{there.url} has no complete checkpoint"


def _check_fit(mine: str, config: RunConfig, theirs: str, other: RunConfig) -> None:
    """Refuse weights of another shape by the field that makes them so.

    Raises:
        ConfigError: naming the field and both runs.
    """
    for field, (there, here) in configuration.difference(other, config).items():
        if field.startswith(("network.", "image.")) and field not in _SHAPELESS:
            raise ConfigError(
                f"warm_start.run: {field} is {here} in run '{mine}' and {there} in run '{theirs}', "
                f"whose weights do not fit{_SOME}"
            )
