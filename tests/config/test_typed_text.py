"""Text that a person types for a text field is that text, whichever way it comes."""

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from launcher.render.cronjob import Cluster, Timing, render_schedule
from launcher.render.text import to_yaml
from launcher.spec.runspec import make_spec
from launcher.spec.settings import layered, spec_from
from launcher.sweeps import plan
from launcher.sweeps.file import read_sweep
from trainer.config import placed, resolve

PRINTABLE = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1).filter(
    lambda text: "://" not in text and not text.startswith(("~", "/"))
)
"""Any text of one line that can stand for a folder; a URL is refused, ~ is a person's home."""


def examples(test):
    """What YAML reads as something else, or cuts."""
    for text in (
        "few #2",
        "few ",
        " few",
        "few: old",
        "'few'",
        '"few',
        "[few]",
        "{few}",
        "&few",
        "!few",
        "7",
        "$(HOME)",
    ):
        test = example(text)(test)
    return test


@given(PRINTABLE)
@examples
def test_set_takes_a_text_as_it_is(text):
    assert resolve("mlp", [f"data.source=images:{text}"]).data.source == f"images:{text}"


@given(PRINTABLE)
@examples
def test_the_flag_for_data_takes_a_text_as_it_is(text):
    given = {
        "preset": "mlp",
        "data": f"images:{text}",
        "root": "gs://bucket/gan",
        "image": "gantry:1",
        "name": "one",
    }
    assert spec_from(layered(given)).config().data.source == f"images:{text}"
    local = spec_from(layered({"preset": "mlp", "data": f"images:{text}", "name": "one"}))
    assert local.config().data.source == f"images:{Path.cwd()}/{text}"


@given(PRINTABLE)
@examples
def test_a_sweep_takes_a_text_as_it_is(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "sweep.yaml"
    grid = {"data.source": [f"images:{text}", "digits"]}
    path.write_text(
        yaml.safe_dump({"name": "s", "base": {"preset": "mlp"}, "grid": grid}, allow_unicode=True)
    )
    members = plan(read_sweep(path), {"root": "gs://bucket/gan", "image": "gantry:1"}).members
    assert members[0].spec.config().data.source == f"images:{text}"


@given(PRINTABLE)
@examples
def test_a_cron_job_hands_a_text_on_as_it_is(text):
    spec = make_spec(
        "mlp", [f"data.source=images:{text}"], "nightly", root="gs://bucket/gan", image="gantry:1"
    )
    objects = render_schedule(spec, Timing("0 3 * * 1"), Cluster("gan", "kind", "https://cluster"))
    cron = next(each for each in yaml.safe_load_all(to_yaml(objects)) if each["kind"] == "CronJob")
    job = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    override = job["args"][job["args"].index("--set") + 1].replace("$$", "$")  # as the kubelet reads it
    assert resolve("mlp", [override]).data.source == f"images:{text}"


@pytest.mark.parametrize("text", ["null", "~", ""])
def test_a_text_that_may_be_left_out_is_left_out_as_yaml_has_it(text):
    assert resolve("mlp", [f"warm_start.run={text}"]).warm_start.run is None


def test_the_name_of_a_run_that_looks_like_a_number_is_a_name():
    assert resolve("mlp", ["warm_start.run=007"]).warm_start.run == "007"


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("images:few", "images:{here}/few"),
        ("images:few/", "images:{here}/few/"),
        ("tfrecord:a/*.tfrecord", "tfrecord:{here}/a/*.tfrecord"),
        ("npz:~/x.npz", "npz:{home}/x.npz"),
        (
            "images:~nosuch/few",
            "images:~nosuch/few",
        ),  # no folder here: whoever opens it says who is not known
        ("images:/few", "images:/few"),
        ("tfrecord:gs://b/x", "tfrecord:gs://b/x"),
        ("keras:mnist", "keras:mnist"),
        ("digits", "digits"),
    ],
)
def test_a_path_is_made_absolute_where_it_is_kept(monkeypatch, tmp_path, source, meant):
    monkeypatch.chdir(tmp_path)
    meant = meant.format(here=tmp_path, home=Path.home())
    config = resolve("mlp", [f"data.source={source}"])
    assert config.data.source == source and placed(config).data.source == meant
    assert make_spec("mlp", [f"data.source={source}"], "one").overrides == (f"data.source={meant}",)
