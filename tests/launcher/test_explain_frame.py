"""The frame of explain: runs that are well, one that nobody understands, and how they are asked about."""

import dataclasses
import json
import re

import pytest

from launcher.commands.status import describe
from launcher.diagnosis.explain import diagnose, explain, explained
from launcher.diagnosis.explain.base import Cause, Finding, first
from launcher.diagnosis.explain.evidence import from_condition, from_container, from_event, utc
from launcher.diagnosis.explain.gathering import Asking
from launcher.diagnosis.explain.lines import last_lines
from launcher.errors import Forbidden, NoSuchRun
from launcher.runs import verbs
from tests.launcher.explaining import facts, local, standing
from tests.launcher.kubernetes_objects import condition, ended, event, job, pod, said, stamp, waiting
from trainer.storage import LocalStore


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (local("finished", [0], {}, {"step": 60}), "run 'one' is finished at step 60"),
        (facts(job(1), [pod(0)], said=said(step=20, steps=60)), "run 'one' trains, step 20 of 60"),
        (
            facts(job(1), [pod(0)], said=said(restarts=2, restarted_because="worker 0 died")),
            "run 'one' trains, step 20 of 60, after 2 restarts; the last because worker 0 died",
        ),
        (facts(job(1), [pod(0)]), "run 'one' starts"),
        (
            facts(job(1), [pod(0, phase="Pending", state=waiting("ContainerCreating"))]),
            "run 'one' is being started: worker 0 is being started",
        ),
        (facts(job(1), []), "run 'one' is being started: worker 0 has no pod"),
    ],
)
def test_a_run_that_is_well_or_on_its_way(found, sentence):
    here = diagnose(found)
    assert (here.healthy, here.cause, here.fix, here.evidence) == (True, None, None, ())
    assert here.sentence == sentence


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (local("finished", [0], {}, {"step": 60}), "run 'one' is finished at step 60"),
        (facts(job(1), [pod(0)], said=said(step=20, steps=60)), "run 'one' trains, step 20 of 60"),
    ],
)
def test_a_game_that_is_over_is_said_of_a_run_that_trains_or_is_finished(found, sentence):
    lost = "D has won since step 10: its loss is 0.0000"
    here = diagnose(dataclasses.replace(found, status=dataclasses.replace(found.status, health=lost)))
    assert (here.healthy, here.sentence) == (True, f"{sentence}; but {lost}")
    assert f"  warning: {lost}" in describe(dataclasses.replace(found.status, health=lost))


def test_a_pod_that_does_not_come_is_not_well():
    here = diagnose(facts(job(1, startTime=stamp()), [], seconds=120))
    assert (here.healthy, here.cause) == (False, "unknown")


def test_what_nobody_knows_is_three_facts_and_no_guess():
    one = pod(0, phase="Pending", state=waiting("CreateContainerConfigError", "something new"))
    warnings = [event(one, "FailedMount", f"warning {age}", age) for age in (1.0, 2.0, 3.0)]
    here = diagnose(facts(job(1), [one], warnings, logs={0: ["first", "last"]}))
    assert (here.healthy, here.cause) == (False, "unknown")
    assert here.sentence.endswith("; no known cause fits")
    texts = [each.text for each in here.evidence]
    assert texts == ["CreateContainerConfigError, something new", "warning 3.0", "last"]
    assert str(here.fix) == "launcher logs gan/one --tail 50 --root gs://runs/gan"


def test_a_pod_that_somebody_holds_back_is_unknown_and_shown_in_the_clusters_words():
    held = "Scheduling is blocked due to non-empty scheduling gates"
    gated = condition("PodScheduled", "SchedulingGated", held, "False")
    here = diagnose(facts(job(1), [pod(0, phase="Pending", node=None, conditions=[gated])]))
    assert (here.healthy, here.cause) == (False, "unknown")
    assert [each.text for each in here.evidence] == [f"False, SchedulingGated: {held}"]


def test_the_first_cause_that_fits_is_the_answer():
    def cause(key, fits):
        return Cause(key, key, key, key, lambda _: Finding(key, (), "") if fits else None)

    causes = [cause("a", False), cause("b", True), cause("c", True)]
    assert first(causes, None) == ("b", Finding("b", (), ""))
    assert first(causes[:1], None) is None


def test_evidence_has_the_time_at_which_it_was_so():
    one = pod(0, phase="Failed", state=ended(1, "bad\nend", finishedAt=stamp(9)))
    one["status"]["conditions"] = [
        condition("Ready", "PodFailed", "why", "False") | {"lastTransitionTime": stamp(8)}
    ]
    shown = from_container(one, one["status"]["containerStatuses"][0])
    assert (shown.object, shown.time) == ("Pod/one-0-abcde", stamp(9))
    assert shown.field == "status.containerStatuses[trainer].state.terminated"
    assert shown.text == "Error, exit code 1, bad end"
    assert from_condition(one, "Pod", "Ready").text == "False, PodFailed: why"
    assert from_condition(one, "Pod", "Ready").time == stamp(8)
    assert from_condition(one, "Pod", "PodScheduled") is None
    series = event(one, "Failed", "text", 3.0) | {
        "series": {"lastObservedTime": "2026-11-20T12:00:07.123456Z"}
    }
    assert from_event(series).time == stamp(7)
    assert utc("nonsense") is None


def test_what_may_not_be_asked_is_left_out_and_told():
    asking = Asking()

    def refuse():
        raise Forbidden("user 'u' may not list nodes")

    assert asking("nodes", refuse) is None
    assert asking("more", lambda: 3) == 3
    assert asking.unasked == ["nodes: user 'u' may not list nodes"]


def test_the_last_lines_of_a_long_log(tmp_path):
    store = LocalStore(tmp_path)
    store.write("logs/1/worker-0.00000.log", b"old\n" * 9)
    store.write("logs/1/worker-0.00001.log", b"".join(b"line %d\n" % number for number in range(20_000)))
    store.write("logs/1/worker-0.00002.log", b"the end\rof a bar\n\nand a line that was cut")
    now = standing("failed", workers=[], world_size=1)
    lines = [line.text for line in last_lines(now, store)[0]]
    assert lines[-3:] == ["line 19999", "of a bar", "and a line that was cut"]
    assert len(lines) == 80


def test_a_run_of_this_machine(submit, root, launcher):
    submit("exit:1")
    assert verbs.wait(root, "one", 60).state == "failed"
    done = launcher("explain", "one", "--root", root, "-o", "json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["healthy"], found["kind"], found["state"]) == (1, False, "run", "failed")
    assert found["evidence"]
    text = launcher("explain", "one", "--root", root)
    assert (text.returncode, text.stderr) == (1, "")
    first_line, *more = text.stdout.splitlines()
    assert first_line == f"{found['sentence']} ({found['cause']})"
    assert more[-1] == f"mend it with: {found['fix']}"


def test_a_run_that_has_finished_leaves_with_0(past_run, root, launcher):
    past_run()
    done = launcher("explain", "past", "--root", root)
    assert (done.returncode, done.stdout) == (0, "run 'past' is finished at step 20\n")
    assert launcher("explain", "past", "--root", root, "-o", "yaml").returncode == 0


def test_neither_run_nor_schedule(past_run, root, launcher, desk):
    past_run()
    done = launcher("explain", "pst", "--root", root)
    assert done.returncode == 3
    assert re.fullmatch(r"error: no run 'pst' .*past.*; no schedule 'pst' either.*\n", done.stderr)
    with pytest.raises(NoSuchRun):
        explain(root, "pst")


def test_a_damaged_folder_is_told_and_does_not_end_it(past_run, root):
    (past_run(state="failed") / "run.json").write_text("{")
    here = explain(root, "past")
    assert any("run.json: damaged" in text for text in here.unasked)


def test_status_has_the_sentence_of_a_run_that_failed(past_run, root):
    folder = past_run(state="failed")
    (folder / "logs/1").mkdir(parents=True)
    (folder / "logs/1/worker-0.log").write_text("error: NaN in d_loss at step 20\n")
    now = standing("failed", "before", run="past", root=root)
    assert explained(root, now).explanation != ""
    running = standing("running", "before", run="past", root=root)
    assert explained(root, running) is running
    gone = standing("failed", "before", run="nobody", root=root)
    assert explained(root, gone) is gone
