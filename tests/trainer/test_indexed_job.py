"""A pod's environment, read the same way by all pods of a job; and waiting for their names."""

import socket
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.environment import tf_config
from trainer.errors import EXIT_RESTART, PeerLost, UserError
from trainer.pod import indexed_job
from trainer.pod.indexed_job import from_environment, peer_seconds, wait_for_peers

labels = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)


def environment(index=0, workers=2, job="gan", service="gan", port=2222, attempt=1):
    return {
        "JOB_COMPLETION_INDEX": str(index),
        "GANTRY_JOB": job,
        "GANTRY_SERVICE": service,
        "GANTRY_WORKERS": str(workers),
        "GANTRY_PORT": str(port),
        "GANTRY_ATTEMPT": str(attempt),
        "GANTRY_POD": f"{job}-{index}-x7k2p",
    }


@given(labels, labels, st.integers(1, 40), st.integers(1, 65535), st.integers(1, 99))
def test_all_pods_of_a_job_derive_one_list_of_addresses_and_each_its_own_place(
    job, service, workers, port, attempt
):
    members = [
        from_environment(environment(index, workers, job, service, port, attempt)) for index in range(workers)
    ]
    assert len({member.hosts for member in members}) == 1
    assert [member.index for member in members] == list(range(workers))
    assert members[0].hosts[-1] == f"{job}-{workers - 1}.{service}"
    assert {member.attempt for member in members} == {attempt}
    teams = [member.cluster for member in members]
    if workers == 1:
        assert teams == [tf_config.Cluster()]
        return
    assert len({team.addresses for team in teams}) == 1
    for member, team in zip(members, teams, strict=True):
        assert team.addresses[team.index] == f"{job}-{member.index}.{service}:{port}"
        assert tf_config.from_environment({"TF_CONFIG": tf_config.tf_config(team)}) == team


@pytest.mark.parametrize(
    "name", ["GANTRY_JOB", "GANTRY_SERVICE", "GANTRY_WORKERS", "GANTRY_PORT", "GANTRY_ATTEMPT", "GANTRY_POD"]
)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named(name, value):
    environ = environment() | {name: value}
    with pytest.raises(UserError, match=f"^{name} is not set, expected ") as failure:
        from_environment({key: given for key, given in environ.items() if given is not None})
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("JOB_COMPLETION_INDEX", "-1", "from 0 to 99999"),
        ("JOB_COMPLETION_INDEX", "one", "from 0 to 99999"),
        ("JOB_COMPLETION_INDEX", "0.0", "from 0 to 99999"),
        ("JOB_COMPLETION_INDEX", "\u0661", "from 0 to 99999"),
        ("GANTRY_WORKERS", "0", "from 1"),
        ("GANTRY_WORKERS", "9" * 5000, "from 1"),
        ("GANTRY_PORT", "0", "from 1 to 65535"),
        ("GANTRY_PORT", "65536", "from 1 to 65535"),
        ("GANTRY_PORT", " 2222", "from 1 to 65535"),
        ("GANTRY_ATTEMPT", "0", "from 1"),
        ("GANTRY_JOB", "Gan", "the Job's name"),
        ("GANTRY_JOB", "gan\n", "the Job's name"),
        ("GANTRY_SERVICE", "gan.default", "the headless Service's name"),
    ],
)
def test_a_senseless_variable_is_one_line_with_its_name_value_and_what_is_expected(name, value, expected):
    with pytest.raises(UserError) as failure:
        from_environment(environment() | {name: value})
    assert str(failure.value).startswith(f"{name} is {value!r}, expected ")
    assert expected in str(failure.value) and "\n" not in str(failure.value)


@given(st.dictionaries(st.sampled_from(sorted(environment())), st.text(string.printable, max_size=9)))
def test_any_environment_is_read_or_refused(changes):
    try:
        member = from_environment(environment() | changes)
    except UserError as error:
        assert any(name in str(error) for name in changes)
    else:
        assert member.index >= 0 and member.workers >= 1
        assert member.is_spare == (member.index >= member.workers) and not member.claimed


@given(st.integers(1, 40), st.integers(0, 99))
def test_a_pod_beyond_the_workers_is_spare_and_no_other(workers, index):
    assert from_environment(environment(index, workers)).is_spare == (index >= workers)


def test_a_run_that_a_launcher_claimed_is_known_by_its_own_variable():
    assert from_environment(environment() | {"GANTRY_CLAIMED": "1"}).claimed


def test_outside_of_a_job_train_is_named():
    with pytest.raises(UserError, match=r"JOB_COMPLETION_INDEX is not set.*'train'"):
        from_environment({})


def test_the_patience_for_peers_is_ten_minutes_unless_given():
    assert peer_seconds({}) == 600 and peer_seconds({"GANTRY_PEER_SECONDS": "7"}) == 7
    with pytest.raises(UserError, match="GANTRY_PEER_SECONDS is '5m', expected a number"):
        peer_seconds({"GANTRY_PEER_SECONDS": "5m"})


class Names:
    """A name server on a clock of its own: names and when they appear."""

    def __init__(self, **appear):
        self.appear = {name.replace("_", "-") + ".gan": second for name, second in appear.items()}
        self.now, self.asked, self.said = 0.0, [], []

    def resolve(self, host, port, **_):
        self.asked.append(host)
        if self.now < self.appear.get(host, float("inf")):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]

    def pause(self, seconds):
        assert seconds > 0
        self.now += seconds

    def wait(self, member, seconds):
        clock = {"clock": lambda: self.now, "pause": self.pause}
        wait_for_peers(member, seconds, self.resolve, say=self.said.append, **clock)


def test_names_that_are_there_are_asked_for_once():
    names = Names(gan_0=0, gan_1=0)
    names.wait(from_environment(environment()), 600)
    assert sorted(names.asked) == ["gan-0.gan", "gan-1.gan"] and names.now == 0 and not names.said


def test_waiting_ends_with_the_last_name_and_says_every_ten_seconds_who_is_missing():
    names = Names(gan_0=0, gan_1=35, gan_2=3)
    names.wait(from_environment(environment(workers=3)), 600)
    assert 35 <= names.now <= 36
    note = "waiting for 1 of 3 workers to get an address: gan-1.gan"
    assert names.said == [note] * 3
    assert names.asked.count("gan-0.gan") == 1  # one that was found is not asked for again


def test_a_peer_that_never_comes_ends_the_wait_with_its_name_and_what_to_look_at():
    names = Names(gan_0=0)
    with pytest.raises(PeerLost) as failure:
        names.wait(from_environment(environment(workers=9)), 20.5)
    text = str(failure.value)
    assert failure.value.exit_code == EXIT_RESTART and names.now == 20.5 and "\n" not in text
    parts = ["8 of 9", "gan-1.gan, gan-2.gan, gan-3.gan, gan-4.gan, gan-5.gan and 3 more", "job-name=gan"]
    assert all(part in text for part in [*parts, "Service 'gan'", "NetworkPolicy"])


def test_the_real_resolver_finds_a_name_and_misses_another():
    here = from_environment(environment(workers=1))
    assert indexed_job._resolves("localhost", 2222, socket.getaddrinfo)
    with pytest.raises(PeerLost, match=r"gan-0\.gan"):
        wait_for_peers(here, 0)
