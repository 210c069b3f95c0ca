"""Which rows there are, in the order of what they are worth."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.on_gpu.referee import Group, Row
from trainer.config import preset_names, resolve

PRECISIONS = ("float32", "bfloat16")  # of the trainer's step
_FIRST = ("mlp", "dcgan64", "dcgan")  # of the presets
_NOT_OF_A_STEP = {"steps", "seed", "data", "warm_start", "checkpoints", "samples", "metrics", "recovery"}
_LARGER, _MOST = 8, 1024  # times a preset's batch, as far as it is no more than so many images
_OF_RUNS = {"bitwise resume": "resume", "checkpoint stall": "stall"}

# By the network's name: small enough for a CPU, all else as it is.
_TOYS = {
    "mlp": ("network.generator_units=[16,16]", "network.discriminator_units=[16,16]"),
    "dcgan": ("network.generator_filters=[4]", "network.discriminator_filters=[4]"),
}
_QUICK = ["xla=off"]  # whose compiler takes 4 s of a start


class Plan(NamedTuple):
    """How much of everything."""

    toy: bool
    scratch: str
    torch: str
    jax: str
    """Pythons that may have PyTorch, and JAX with Optax."""

    def of(self, full: Any, toy: Any) -> Any:
        """One of the two."""
        return toy if self.toy else full

    def sets(self, preset: str, batch: int = 0) -> list[str]:
        """What of a preset is set: its batch, and in a toy its networks' size."""
        config = resolve(preset)
        small = _TOYS.get(config.network.name, ()) if self.toy else ()
        return [f"batch_size={batch or self.of(config.batch_size, 8)}", *small]


def groups(plan: Plan) -> list[Group]:
    """All rows."""
    device = [
        Row("devices", "devices", {"toy": plan.toy}),
        Row("matrix products", "products", {"side": plan.of(8192, 128), "seconds": plan.of(3.0, 0.03)}),
    ]
    presets = different_presets()[: plan.of(None, 2)]
    return [
        Group("bench.on_gpu.in_process", [*device, *(row for name in presets for row in _steps(plan, name))]),
        Group("bench.on_gpu.contestants", [_beside(plan, "mlp", 64), _sharing(plan, "mlp", 64)]),
        Group("bench.on_gpu.runs", _runs(plan, "mlp", 300)),
        *([] if plan.toy else _more(plan, presets)),
    ]


def different_presets() -> list[str]:
    """Presets whose steps are not those of one before."""
    found: dict[str, str] = {}
    for name in [*_FIRST, *preset_names()]:
        config = resolve(name)
        step = config.model_dump_json(exclude=_NOT_OF_A_STEP)
        found.setdefault(step, name)
    return list(found.values())


def _more(plan: Plan, presets: Sequence[str]) -> list[Group]:
    """Of which a toy would go through no new line."""
    batches = {name: _LARGER * resolve(name).batch_size for name in presets}
    larger = [row for name, batch in batches.items() if batch <= _MOST for row in _steps(plan, name, batch)]
    return [
        Group(
            "bench.on_gpu.contestants",
            [_beside(plan, "mlp", 512), _beside(plan, "dcgan64", 128), _sharing(plan, "dcgan64", 128)],
        ),
        Group("bench.on_gpu.runs", _runs(plan, "dcgan64", 60)),
        Group("bench.on_gpu.in_process", larger),
    ]


def _steps(plan: Plan, preset: str, batch: int = 0) -> list[Row]:
    """With XLA and without, in each precision."""
    rows = []
    for precision in PRECISIONS:
        for xla in (False, True):
            size = f", batch {batch}" if batch else ""
            told = f"step of {preset}{size}, {precision}, XLA {'on' if xla else 'off'}"
            sets = [*plan.sets(preset, batch), f"precision={precision}"]
            options = {"preset": preset, "sets": sets, "xla": xla, "seconds": plan.of(1.5, 0.05)}
            rows.append(Row(told, "step", options))
    return rows


def _beside(plan: Plan, preset: str, batch: int) -> Row:
    others = {"torch": plan.torch, "jax": plan.jax, "scratch": plan.scratch}
    options = {
        **_contestant(plan, preset, batch),
        "seconds": plan.of(4.0, 0.1),
        "call": plan.of(50, 5),
        **others,
    }
    return Row(f"{preset}, batch {plan.of(batch, 8)}, beside others", "beside", options)


def _runs(plan: Plan, preset: str, steps: int) -> list[Row]:
    options = {
        "preset": preset,
        "sets": [*plan.sets(preset), *plan.of([], _QUICK)],
        "steps": plan.of(steps, 6),
        "scratch": plan.scratch,
    }
    return [Row(f"{what}, {preset}", task, options) for what, task in _OF_RUNS.items()]


def _sharing(plan: Plan, preset: str, batch: int) -> Row:
    options = {**_contestant(plan, preset, batch), "seconds": plan.of(3.0, 0.1), "call": plan.of(50, 5)}
    return Row(f"two runs of {preset} share the device", "sharing", options)


def _contestant(plan: Plan, preset: str, batch: int) -> dict[str, Any]:
    """The same for several rows, so that they share its process."""
    return {"preset": preset, "sets": [f"batch_size={plan.of(batch, 8)}", *plan.of([], _QUICK)]}
