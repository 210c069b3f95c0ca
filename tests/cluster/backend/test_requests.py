"""How much looking at runs asks of the API server, counted by a proxy in front of it."""

from launcher.backends.kubernetes.client.api import connect
from launcher.backends.kubernetes.jobs import submit
from launcher.backends.kubernetes.logs.job_logs import PodLogs
from launcher.backends.kubernetes.status import observe
from launcher.runs import verbs
from launcher.runs.find import Place
from tests.cluster.backend.helpers import own, plain_proxy
from trainer.storage import open_store


def test_looking_takes_few_requests(cluster, spec, namespace, kubectl, tmp_path, monkeypatch):
    """Pods that cannot start are the worst case: their events are asked for as well."""
    asked = [spec(name, image="localhost/gantry:absent", workers=2) for name in ("one", "two")]
    started = [submit.start(run, resuming=False) for run in asked]
    for run in started:
        kubectl.wait_for(
            "both pods", lambda job=run.job: len(kubectl.get("pods", f"-l=job-name={job}")["items"]) == 2
        )
        selector = f"-l=job-name={run.job}"
        kubectl.wait_for(
            "both refused", lambda each=selector: "ErrImage" in kubectl("get", "pods", each).stdout
        )
    root = asked[0].root
    with plain_proxy(cluster, tmp_path) as (proxy, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        api, before = connect("proxied", namespace), 0

        def requests():
            nonlocal before
            news, before = [each.path for each in proxy.seen()][before:], len(proxy.seen())
            return news

        seen = observe.look(own(api, asked[0]))
        assert "cannot be pulled" in observe.join(seen, None, observe.Ages()).state.explanation
        assert len(requests()) <= 3
        listed = verbs.list_runs(Place(root, "proxied", namespace))
        assert {run.run: run.state for run in listed} == {"one": "pending", "two": "pending"}
        assert len(requests()) == 1
        monkeypatch.chdir(tmp_path)  # where no folder `runs` is: the Jobs tell where the run's files are
        told = verbs.status(Place(None, "proxied", namespace), "one")
        assert (told.state, told.root) == ("pending", root)
        assert "cannot be pulled" in told.explanation
        assert len(requests()) == 3
        # Of more workers than are followed at once it is the chief alone: one worker's pods are watched.
        with PodLogs(own(api, asked[0]), open_store(started[0].path.url), most=1) as logs:
            assert logs.note == "following worker 0 of 2; `--worker I` follows another"
            kubectl.wait_for("the pods are watched", lambda: proxy.seen(contains="watch=true"))
        watched = [each for each in requests() if "/pods" in each]
        assert watched and all("job-completion-index%3D0" in each for each in watched)
