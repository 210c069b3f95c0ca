"""`bench/gpu.py`: every line of it on a CPU, and what it says where there is no GPU."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.on_gpu import plan

pytest.importorskip("tensorflow")

ROOT = Path(__file__).parents[2]
ON_GPU_ALONE = {"cards", "driver", "tensorfloat32_tflops", "memory_mib", "share_of_peak"}


def gpu(*options: object) -> subprocess.CompletedProcess[str]:
    """The command as it is called on a machine where the project is not installed, without any GPU."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "bench/gpu.py", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def rows_of(folder: Path) -> dict[str, dict]:
    return {row["row"]: row for row in json.loads((folder / "gpu.json").read_text())["rows"]}


def names(*, toy: bool) -> list[str]:
    return [row.name for group in plan.groups(plan.Plan(toy, "", "", "")) for row in group.rows]


def test_a_toy_goes_through_every_line(tmp_path):
    done = gpu("--toy", "--seconds", 900, "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = rows_of(tmp_path)
    assert list(rows) == names(toy=True)
    assert sum(row["status"] == "measured" for row in rows.values()) == len(rows) == 14
    # Of these alone a CPU says nothing: cards and driver, TensorFloat-32, and two for each of 8 steps.
    skipped = [figure for row in rows.values() for figure in row.get("needs_gpu", ())]
    assert len(skipped) == 2 + 1 + 2 * 8
    assert set(skipped) == ON_GPU_ALONE
    assert rows["bitwise resume, mlp"]["resumed"] == "the same bits"
    beside = rows["mlp, batch 8, beside others"]
    for name, module in (("PyTorch", "torch"), ("JAX", "jax")):
        assert (beside[name] != "not installed") == bool(importlib.util.find_spec(module))
    assert "| bitwise resume, mlp | measured |" in (tmp_path / "gpu.md").read_text()


def test_a_toy_has_rows_of_every_kind_that_a_gpu_has():
    kinds = [
        {
            (group.module, row.task, frozenset(row.options))
            for group in plan.groups(plan.Plan(toy, "", "", ""))
            for row in group.rows
        }
        for toy in (True, False)
    ]
    assert kinds[0] == kinds[1]


def test_every_preset_s_step_is_a_row_once():
    shown = plan.different_presets()
    assert shown == ["mlp", "dcgan64", "dcgan", "demo", "emoji", "r3gan", "r3gan32", "sngan", "sngan32"]
    assert {f"step of {name}, float32, XLA on" for name in shown} <= set(names(toy=False))


def test_without_a_gpu_it_says_so_and_leaves_with_1(tmp_path):
    done = gpu("--out", tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr == "error: failed: devices\n"
    rows = rows_of(tmp_path)
    assert list(rows) == names(toy=False)
    assert {row["status"] for name, row in rows.items() if name != "devices"} == {"not begun"}
    assert "lists no GPU here" in rows["devices"]["why"]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_that_it_started_stays_when_it_is_ended(tmp_path, ending):
    command = [sys.executable, "bench/gpu.py", "--toy", "--out", str(tmp_path)]
    process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (started := process.children(recursive=True)):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(ending)
    assert process.communicate()[1] == ""
    assert process.returncode == (-ending if ending == signal.SIGKILL else 128 + ending)
    assert psutil.wait_procs(started, timeout=60)[1] == []


def test_no_seconds_are_no_failure(tmp_path):
    done = gpu("--seconds", 0, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert {row["status"] for row in rows_of(tmp_path).values()} == {"no time"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seconds", "soon", "--out", "x"], "--seconds: 'soon', expected a number of seconds"),
        (["--seconds", "nan", "--out", "x"], "--seconds: 'nan', expected a number of seconds"),
        (["--out", "pyproject.toml"], "--out pyproject.toml: File exists, expected a folder to write to"),
        ([], "the following arguments are required: --out"),
    ],
)
def test_mistakes_are_one_line(options, told):
    done = gpu(*options)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
