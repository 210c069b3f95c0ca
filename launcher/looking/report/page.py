"""From a run's material to the page, by the template beside this file."""

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from launcher.errors import NotInstalled
from launcher.looking.report.material import Material
from launcher.looking.report.panels import draw
from launcher.looking.report.timeline import restart_steps
from launcher.records.states import COLLAPSED, FAILED, FINISHED, INTERRUPTED, LIVE_STATES
from trainer.losses import LOSSES
from trainer.metrics import BY_NAME, HEADLINES, RATE

GENERATOR = '<meta name="generator" content="Gantry'
_TONES = {FINISHED: "good", FAILED: "bad", COLLAPSED: "bad", INTERRUPTED: "bad"}


def render(material: Material) -> str:
    """The page as text.

    Raises:
        NotInstalled: jinja2 or matplotlib is not there.
    """
    try:
        import jinja2
    except ModuleNotFoundError:
        raise NotInstalled("jinja2 is not installed: pip install 'gantry[look]'") from None
    folder = resources.files("launcher.looking.report")
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"when": _when, "span": _span, "short": _short}
    from markupsafe import Markup

    restarts = restart_steps(material.attempts)
    pictures = draw(material.curves, restarts, _logistic(material.config))
    # Only these are not escaped: style and script are files of this package, a drawing has no text of a run.
    return environment.get_template("page.html.j2").render(
        it=material,
        now=material.status,
        tone=_tone(material),
        restarts=restarts,
        revision=dict(material.environment).get("git revision"),
        pictures=[each._replace(svg=Markup(each.svg)) for each in pictures],
        cards=[BY_NAME[name] for name in (*HEADLINES, RATE)],
        config=_yaml(material.config),
        style=Markup(style),
        script=Markup(script),
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _logistic(config: Mapping[str, Any] | None) -> bool:
    """Whether a run's losses are cross-entropies, as those of all runs were that do not say."""
    about = LOSSES.get((config or {}).get("loss", "bce"))
    return about is not None and about.logistic


def _tone(material: Material) -> str:
    """Colour of the state: good, bad, live or still."""
    state = material.status.state
    if material.diagnosis is not None and state not in LIVE_STATES:
        return "bad"
    return "live" if state in LIVE_STATES else _TONES.get(state, "still")


def _yaml(config: Any) -> str:
    if config is None:
        return ""
    import yaml

    from launcher.spec.redaction import without_password

    return without_password(str(yaml.safe_dump(config, sort_keys=False, allow_unicode=True)))


def _when(time: str | None) -> str:
    """An ISO time for people: ``2026-01-02 03:04:05 UTC``; a dash for None."""
    from launcher.records.states import parse_time

    parsed = parse_time(time)
    return f"{parsed:%Y-%m-%d %H:%M:%S} UTC" if parsed else "-"


def _span(seconds: float | None) -> str:
    """Seconds as ``1:02:03``, with days before them; a dash for None."""
    if seconds is None:
        return "-"
    days, rest = divmod(round(seconds), 86400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days} d {clock}" if days else clock


def _short(value: float | None) -> str:
    """A number in four digits; a dash for None."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"
