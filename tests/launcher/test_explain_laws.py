"""What holds of every explanation, whatever was seen."""

import shlex

from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from launcher.cli import app
from launcher.explain import diagnose
from launcher.explain.causes import CAUSES
from launcher.render import render, to_yaml
from launcher.spec import make_spec
from tests.launcher.explaining import LATE, MISTAKE, TOO_MANY, answer, facts, failed, unresolved, with_env
from tests.launcher.kubernetes_objects import condition, ended, event, job, pod, said


def test_the_command_to_begin_again_begins_the_same_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    spec = make_spec(
        "mlp", ["steps=60", "data.source=idx:/a b"], name="one", workers=2, image="reg/gantry:1", root="gs://runs/gan",
        experiment="faces", memory="3Gi", cpu="2", namespace="team", profiles=["spot", "network-policy"],
        env={"A": "b c", "GANTRY_PEER_SECONDS": "9"}, backoff_limit=7, active_deadline_seconds=90,
        grace_seconds=30,
    )  # fmt: skip
    text = "error: GANTRY_PEER_SECONDS is '9', expected more"
    pods = [with_env(failed(0, 2, text), GANTRY_PEER_SECONDS="9")]
    fix = answer(facts(job(1, MISTAKE), pods, spec=spec.model_dump(mode="json")))[2]
    words = shlex.split(fix.replace("VALUE", "8"))
    assert words[:2] == ["launcher", "submit"]
    done = CliRunner().invoke(app, ["render", *words[2:], "--name", "one"])
    assert done.exit_code == 0, done.output
    assert done.output == to_yaml(
        render(spec.model_copy(update={"env": {"A": "b c", "GANTRY_PEER_SECONDS": "8"}}))
    )


ENDINGS = (
    None,
    ended(0),
    ended(1, "error: x"),
    ended(1, "No space left on device"),
    ended(1, "step 3: d_loss is NaN or Inf"),
    ended(2, "data.source x"),
    ended(42, unresolved()),
    ended(137, reason="OOMKilled"),
    ended(255, reason="Unknown"),
)
some_pods = st.lists(
    st.builds(
        pod,
        worker=st.integers(0, 2),
        name=st.text("abc", min_size=1, max_size=4),
        phase=st.sampled_from(["Pending", "Running", "Failed", "Succeeded"]),
        age=st.integers(0, 5),
        node=st.sampled_from([None, "n"]),
        state=st.sampled_from(ENDINGS),
        going=st.booleans(),
        conditions=st.lists(
            st.builds(
                condition,
                st.sampled_from(["DisruptionTarget", "PodScheduled", "Ready", "ContainersReady"]),
                st.sampled_from(["PreemptionByScheduler", "Unschedulable", ""]),
                st.just("words"),
                st.sampled_from(["True", "False"]),
            ),
            max_size=2,
        ),
    ),
    max_size=4,
)
some_events = st.lists(
    st.builds(
        event,
        some_pods.filter(bool).map(lambda found: found[0]),
        st.sampled_from(["Preempted", "Evicted", "Killing", "FailedScheduling", "FailedMount"]),
        st.just("words"),
        st.integers(0, 9),
    ),
    max_size=3,
)
some_words = st.none() | st.builds(
    said,
    st.sampled_from(["starting", "running", "restarting", "stopped", "failed"]),
    st.integers(-50, 50),
    message=st.sampled_from([None, "no step for 9 s (the limit is 9 s)", "storage has been away for 9 s: x"]),
    storage=st.sampled_from([None, "away for 9 s: x"]),
)
LINES = (
    "error: x",
    "waiting for the chief at a:1: b",
    "generation 2: all 2 workers have met",
    "ValueError: x",
    "warning: storage does not answer and is asked again; training goes on: x",
)
some_logs = st.dictionaries(st.integers(0, 2), st.lists(st.sampled_from(LINES), min_size=1))
verdicts = st.sampled_from([(), TOO_MANY, LATE, MISTAKE, [("Complete", "CompletionsReached", "")]])


@settings(max_examples=100, deadline=None)
@given(
    pods=some_pods,
    events=some_events,
    word=some_words,
    logs=some_logs,
    end=verdicts,
    gone=st.booleans(),
    at=st.integers(0, 900),
)
def test_whatever_is_seen_there_is_one_answer(pods, events, word, logs, end, gone, at):
    mine = None if gone else job(3, end, failed=1)
    here = diagnose(facts(mine, pods, events, word, logs, seconds=at))
    assert here.healthy == (here.cause is None)
    assert here.healthy == (here.fix is None)
    assert here.sentence
    assert not any(
        "\n" in text for text in (here.sentence, here.fix or "", *(each.text for each in here.evidence))
    )
    assert here.healthy or here.evidence or here.cause in ("unknown", "job-gone")


def test_every_cause_has_a_name_of_its_own():
    keys = [cause.key for cause in CAUSES]
    assert len(keys) == len({*keys})
    assert all(cause.title and cause.seen and cause.mend for cause in CAUSES)
