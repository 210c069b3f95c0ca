"""One process with two threads: against the page's loop, PyTorch and the machine's sgemm."""

from statistics import median

from bench import data
from bench.contestant import Contestant, Group
from bench.report import Goal, Section, table
from bench.rounds import Times, Turn, play, ratios, ready, spread
from bench.setting import SGEMM_FLOP, SPEED_HEAD, Setting, speed_row

_NO_TORCH, _NO_JAX = "PyTorch is not installed", "JAX is not installed"
_R1 = (
    "network.discriminator_normalization=none",
    "regularizers.r1.weight=1",
    "averaging.half_life_images=8800",
)
_IN_JAX = {"JAX, 64": 64, "JAX, 512": 512}
_MLP = (
    "Preset `mlp`, real digits, one process, two threads. *Keras page* is `predict` and three "
    "`train_on_batch`, as the pages that teach this GAN have it; *PyTorch* is eager with fused Adam and does "
    "Gantry's work; *JAX* is the whole step jitted, 50 steps in one `lax.scan` (15 at batch 512), donated "
    "buffers and Optax's Adam; *products* are the matrix products of a Gantry step and nothing else, "
    "compiled as the step is. The number is the batch."
)


def mlp(setting: Setting) -> Section:
    """The plain GAN at batch 64 and 512."""
    images, two = data.digits(setting.scratch), setting.two

    def multiply(kind: str, *options: object) -> Contestant:
        return Contestant("bench.sgemm", (kind, "--threads", 2, *options), cpus=two)

    page = ("--threads", 2, "--images", images)
    contestants = {
        "Gantry, 64": setting.gantry("mlp", 64),
        "Keras page, 64": Contestant("bench.keras_page", page, cpus=two),
        "Gantry, 512": setting.gantry("mlp", 512),
        "sgemm NumPy": multiply("numpy"),
        "sgemm TensorFlow": multiply("tensorflow"),
        "products, 64": multiply("products", "--batch", 64),
        "products, 512": multiply("products", "--batch", 512),
    }
    if setting.torch.version:
        contestants |= {f"PyTorch, {batch}": setting.pytorch("mlp", batch, images) for batch in (64, 512)}
    full = {"Gantry, 64": 100, "Keras page, 64": 15, "PyTorch, 64": 50, "JAX, 64": 50, "products, 64": 50}
    steps = {name: setting.amount(full.get(name, 15), 5) for name in (*contestants, *_IN_JAX)}
    if setting.jax.version:  # a turn of its is one call
        contestants |= {name: setting.in_jax(batch, images, steps[name]) for name, batch in _IN_JAX.items()}
    with ready(contestants):
        turns = {name: Turn(Group([it]), steps[name]) for name, it in contestants.items()}
        times = play(turns, setting.amount(9, 3))
        flop = contestants["Gantry, 512"].about["flop_per_image"] * 512
    goals = [_against_page(times), *_against_jax(times), _against_torch(times), _against_sgemm(times, flop)]
    rows = [
        speed_row(name, times, contestant.peak_mib, int(name.rpartition(" ")[2]))
        for name, contestant in contestants.items()
        if name.endswith(("64", "512"))
    ]
    return Section("The plain GAN", _MLP, goals, [table(SPEED_HEAD, rows), _sgemm_table(times, flop)])


def dcgan(setting: Setting) -> Section:
    """The DCGAN at 64x64, batch 64."""
    text = (
        "Preset `dcgan64`, images of noise, batch 64, one process, two threads. *PyTorch* is eager, "
        "channels_last, with fused Adam and the same 5x5 kernels."
    )
    what = "`dcgan64`, batch 64, against PyTorch"
    return _against_eager(setting, "The DCGAN at 64x64", text, (what, 1.05))


def dcgan_r1(setting: Setting) -> Section:
    """The same with R1 at every step and an average."""
    text = (
        "Preset `dcgan64` without batch normalization in the discriminator, with R1, exact and at every "
        "step, and an average of the generator; images of noise, batch 64, one process, two threads. "
        "*Gantry, plain* is the preset as it is. *PyTorch* is eager, channels_last, with fused Adam, a "
        "double backward and one fused update of the average."
    )
    what = "`dcgan64` with R1 and an average, batch 64, against PyTorch"
    return _against_eager(setting, "R1 on the DCGAN at 64x64", text, (what, 1.0), _R1, ("--r1", 1))


def _against_eager(
    setting: Setting,
    title: str,
    text: str,
    goal: tuple[str, float],
    sets: tuple[str, ...] = (),
    in_torch: tuple[object, ...] = (),
) -> Section:
    words = [word for each in sets for word in ("--set", each)]
    contestants = {"Gantry": setting.gantry("dcgan64", 64, "--warm", 2, *words)}
    if sets:
        contestants["Gantry, plain"] = setting.gantry("dcgan64", 64, "--warm", 2)
    if setting.torch.version:
        images = data.noise(setting.scratch)
        contestants["PyTorch"] = setting.pytorch("dcgan64", 64, images, "--warm", 2, *in_torch)
    with ready(contestants):
        turns = {name: Turn(Group([it]), setting.amount(2, 1)) for name, it in contestants.items()}
        times = play(turns, setting.amount(7, 2))
    rows = [speed_row(name, times, it.peak_mib, 64) for name, it in contestants.items()]
    return Section(title, text, [_dcgan_goal(*goal, times)], [table(SPEED_HEAD, rows)])


def _dcgan_goal(what: str, least: float, times: Times) -> Goal:
    """At least so many times PyTorch's speed."""
    wanted = f"at least {least:g} times"
    if "PyTorch" not in times:
        return Goal(what, wanted, _NO_TORCH, None)
    speed = ratios(times["PyTorch"], times["Gantry"])
    why = f"The step takes {_ms(times, 'Gantry')} ms, PyTorch's {_ms(times, 'PyTorch')} ms."
    return Goal(what, wanted, speed.text(), speed.middle >= least, why)


def _ms(times: Times, name: str) -> str:
    return f"{1e3 * median(times[name]):.1f}"


def _against_page(times: Times) -> Goal:
    speed = ratios(times["Keras page, 64"], times["Gantry, 64"])
    why = (
        f"Gantry's step takes {_ms(times, 'Gantry, 64')} ms, of which its matrix products alone are "
        f"{_ms(times, 'products, 64')} ms; the page's takes {_ms(times, 'Keras page, 64')} ms."
    )
    return Goal(
        "`mlp`, batch 64, against the page's loop in Keras", "at least 6 times", speed.text(),
        speed.middle >= 6, why,
    )  # fmt: skip


def _against_jax(times: Times) -> list[Goal]:
    """Batches of 64 and 512; 0.97 counts as equal in the noise of a shared machine."""
    goals = []
    for name, batch in _IN_JAX.items():
        what, wanted, ours = f"`mlp`, batch {batch}, against JAX", "at least 0.97 times", f"Gantry, {batch}"
        if name not in times:
            goals.append(Goal(what, wanted, _NO_JAX, None))
            continue
        speed = ratios(times[name], times[ours])
        why = (
            f"Gantry's step takes {_ms(times, ours)} ms, JAX's {_ms(times, name)} ms; the products in both "
            f"are {_ms(times, f'products, {batch}')} ms."
        )
        goals.append(Goal(what, wanted, speed.text(), speed.middle >= 0.97, why))
    return goals


def _against_torch(times: Times) -> Goal:
    what, wanted = "`mlp`, batch 64, against PyTorch", "at least 1.3 times"
    if "PyTorch, 64" not in times:
        return Goal(what, wanted, _NO_TORCH, None)
    speed = ratios(times["PyTorch, 64"], times["Gantry, 64"])
    why = (
        f"Gantry's step takes {_ms(times, 'Gantry, 64')} ms, PyTorch's {_ms(times, 'PyTorch, 64')} ms; the "
        f"products in Gantry's, which both have to do, are {_ms(times, 'products, 64')} ms. The rest is "
        f"Adam, "
        "which reads and writes 12 MB of weights and 24 MB of moments, activations and random numbers."
    )
    return Goal(what, wanted, speed.text(), speed.middle >= 1.3, why)


def _best_sgemm(times: Times) -> str:
    return min(("sgemm NumPy", "sgemm TensorFlow"), key=lambda name: median(times[name]))


def _against_sgemm(times: Times, flop: int) -> Goal:
    best = _best_sgemm(times)
    share = ratios(times[best], times["Gantry, 512"], flop / SGEMM_FLOP)
    products = ratios(times[best], times["products, 512"], flop / SGEMM_FLOP)
    why = (
        f"The step's matrix products alone, compiled as the step is, reach {products.middle:.0%}: "
        f"{_ms(times, 'products, 512')} of {_ms(times, 'Gantry, 512')} ms. The rest is Adam over 3 million "
        "weights, activations, their gradients and random numbers, which have no FLOP in this count."
    )
    measured = f"{share.middle:.0%} ({share.low:.0%} to {share.high:.0%}) of {best.removeprefix('sgemm ')}'s"
    return Goal("`mlp`, batch 512, against sgemm", "at least 90 %", measured, share.middle >= 0.9, why)


def _sgemm_table(times: Times, flop: int) -> str:
    work = {
        "sgemm NumPy": ("NumPy, 2048x2048x2048", SGEMM_FLOP),
        "sgemm TensorFlow": ("TensorFlow, 2048x2048x2048", SGEMM_FLOP),
        "products, 512": ("products of a step at batch 512", flop),
        "Gantry, 512": ("Gantry's step at batch 512", flop),
    }
    rows = []
    for name, (label, count) in work.items():
        rows.append((label, spread([count / seconds / 1e9 for seconds in times[name]]).text(0)))
    return table(("two threads", "GFLOP/s"), rows)
