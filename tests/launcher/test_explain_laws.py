"""What holds of every explanation, whatever was seen."""

from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.diagnosis.explain import Fix, diagnose
from launcher.diagnosis.explain.causes import CAUSES
from launcher.spec.runspec import make_spec
from tests.launcher.explaining import LATE, MISTAKE, TOO_MANY, facts, failed, unresolved, with_env
from tests.launcher.fixes import check_fix, check_rerun, filled, parse
from tests.launcher.kubernetes_objects import condition, ended, event, job, pod, said, waiting


def test_the_command_to_begin_again_says_what_is_otherwise_and_nothing_else():
    spec = make_spec(
        "mlp", ["steps=60", "data.source=idx:/a b"], name="one", workers=2, image="reg/gantry:1", root="gs://runs/gan",
        memory="3Gi", profiles=["spot", "network-policy"], env={"A": "b c", "GANTRY_PEER_SECONDS": "9"},
        env_secrets={"HUB": "hub/token"}, threads=3, ttl_seconds_after_finished=9,
    ).model_dump(mode="json")  # fmt: skip
    text = "error: GANTRY_PEER_SECONDS is '9', expected more"
    pods = [with_env(failed(0, 2, text), GANTRY_PEER_SECONDS="9")]
    found = diagnose(facts(job(1, MISTAKE), pods, spec=spec)).fix
    assert str(found) == "launcher rerun gan/one --env GANTRY_PEER_SECONDS=VALUE --root gs://runs/gan"
    _, values = parse([filled(word) for word in found.commands[0][1:]])
    again = check_rerun(values, spec).model_dump(mode="json", exclude={"name"})
    del spec["name"]
    assert again == {**spec, "env": {"A": "b c", "GANTRY_PEER_SECONDS": "90"}}


def test_a_run_that_lives_is_replaced_and_one_that_has_ended_is_not():
    alive = facts(
        job(1), [pod(0, phase="Pending", state=waiting("ErrImageNeverPull", "pull policy of Never"))]
    )
    assert "--replace" in diagnose(alive).fix.commands[0]
    ended_one = facts(job(1, MISTAKE), [failed(0, 2, "error: data.source idx:/absent: gone")])
    assert "--replace" not in diagnose(ended_one).fix.commands[0]


def test_what_a_person_must_decide_or_another_program_do_is_by_hand():
    assert not Fix.of("launcher", "resume", "one").by_hand
    assert "kubectl" in Fix.of("kubectl", "get", "pods").then(Fix.of("launcher", "resume", "one")).by_hand
    for words in (["--set", "steps=VALUE"], ["--image", "NAME:TAG"], ["--manifests", "DIR"]):
        assert Fix.of("launcher", "rerun", "one", *words).by_hand
    assert not Fix.of("launcher", "rerun", "one", "--set", "data.source=idx:/FILES").by_hand


SPEC = make_spec("mlp", (), "one", image="reg/gantry:1", root="gs://runs/gan", workers=2).model_dump(
    mode="json"
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


@settings(max_examples=100)
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
    if here.fix is not None:
        check_fix(here.fix, SPEC)
    assert here.sentence
    assert not any(
        "\n" in text for text in (here.sentence, str(here.fix or ""), *(each.text for each in here.evidence))
    )
    assert here.healthy or here.evidence or here.cause in ("unknown", "job-gone")


def test_every_cause_has_a_name_of_its_own():
    keys = [cause.key for cause in CAUSES]
    assert len(keys) == len({*keys})
    assert all(cause.title and cause.seen and cause.mend for cause in CAUSES)
