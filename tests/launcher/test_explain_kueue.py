"""What is asked of Kueue: its own server of places may be off, which must not cost the rest of the answer."""

from types import SimpleNamespace

import pytest

from launcher.diagnosis.explain.facts import KUEUE
from launcher.diagnosis.explain.kueue import place_facts, workload_facts
from launcher.errors import ApiRejected, ClusterLost, NotFound
from tests.launcher.kubernetes_objects import job

GROUP, PLACES = "kueue.x-k8s.io", "visibility.kueue.x-k8s.io"
QUEUE = f"/apis/{PLACES}/v1beta2/namespaces/team/localqueues/research/pendingworkloads"
WORKLOADS = f"/apis/{GROUP}/v1beta2/namespaces/team/workloads"


class Server:
    """Answers by address, which may be errors; notes how patiently each was asked for."""

    namespace = "team"

    def __init__(self, **answers):
        groups = {
            f"/apis/{name}": {"preferredVersion": {"groupVersion": f"{name}/v1beta2"}}
            for name in (GROUP, PLACES)
        }
        self._answers = groups | answers
        self.transport = SimpleNamespace(patience=120.0)
        self.patience = {}

    def read(self, path, query=None):
        self.patience[path] = self.transport.patience
        answer = self._answers.get(path, NotFound("no such path", 404))
        if isinstance(answer, Exception):
            raise answer
        return answer

    read_list = read


def pending(*names):
    items = [{"metadata": {"name": name}, "positionInLocalQueue": at} for at, name in enumerate(names)]
    return {"items": items}


def test_of_all_that_wait_only_the_runs_own_place_is_kept():
    server = Server(**{QUEUE: pending("other", "mine")})
    found = dict(place_facts(server, "research", {"Workload/mine": {}}))
    assert found == {
        "PendingWorkload/mine": {
            "kind": "PendingWorkload",
            "metadata": {"name": "mine"},
            "positionInLocalQueue": 1,
        }
    }


@pytest.mark.parametrize(
    "error", [ClusterLost("503"), NotFound("no such queue", 404), ApiRejected("no", 403)]
)
def test_the_server_of_places_is_asked_once_and_the_others_patiently_after_it(error):
    server = Server(**{QUEUE: error, WORKLOADS: {"items": [{"metadata": {"name": "mine"}}]}})
    with pytest.raises(type(error)):
        list(place_facts(server, "research", {"Workload/mine": {}}))
    assert server.patience[QUEUE] == 0.0
    assert dict(workload_facts(server, job(1))).keys() == {KUEUE, "Workload/mine"}
    assert server.patience[WORKLOADS] == 120.0


def test_without_that_server_there_are_no_places():
    assert list(place_facts(Server(**{f"/apis/{PLACES}": NotFound("none", 404)}), "research", {})) == []
