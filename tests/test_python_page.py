"""docs/python.md, run from top to bottom as a script, and what `launcher` exports."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import launcher
from launcher import interface
from tests.support.pages import program

PAGE = Path(__file__).parents[1] / "docs/python.md"


def run(code, folder, **environment):
    mine = {key: value for key, value in os.environ.items() if not key.startswith("GANTRY_")}
    mine |= {
        "XDG_CONFIG_HOME": str(folder / "config"),
        "KUBECONFIG": str(folder / "none"),
        "MPLBACKEND": "Agg",
    }
    (folder / "script.py").write_text(code)
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=mine | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_page_runs_from_top_to_bottom(tmp_path):
    done = run(program(PAGE), tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert "finished 40" in said
    assert "workers | workers is 0: expected greater than or equal to 1" in said
    assert [line for line in said if line.startswith("data.source") or "/nowhere" in line]
    assert [line for line in said if line.startswith("no run 'no-such-run'")]
    assert (tmp_path / "results/samples/40.png").exists()
    assert not list((tmp_path / "runs/gan").glob("demo-*"))  # the last block has removed it


def test_what_is_exported_is_light_typed_and_described(tmp_path):
    done = run(
        "import sys, launcher\nassert 'pydantic' not in sys.modules\nfrom launcher import *\n"
        "print([name for name in ('tensorflow', 'keras', 'numpy', 'kubernetes') if name in sys.modules])",
        tmp_path,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert sorted(launcher.__all__) == sorted(interface.__all__) == launcher.__all__
    assert set(launcher.__all__) <= set(dir(launcher))
    for name in launcher.__all__:
        assert inspect.getdoc(getattr(launcher, name)), name
    for package in ("launcher", "trainer"):
        assert (PAGE.parents[1] / package / "py.typed").exists()


def test_a_note_goes_to_a_logger_and_to_nobody_who_did_not_ask(tmp_path):
    code = "from launcher.notes import note\nnote('by the way')\n"
    assert run(code, tmp_path).stderr == ""
    asked = run(f"import logging\nlogging.basicConfig(level='INFO')\n{code}", tmp_path)
    assert asked.stderr == "INFO:launcher:note: by the way\n"


def test_another_name_is_none_of_ours():
    assert not hasattr(launcher, "sumbit")
