"""Leaving at once: what is kept before, what is said, and that nothing keeps the process from ending."""

import subprocess
import sys

import pytest

DEADLINE_SECONDS = 60.0

# The main thread never comes back, as in a collective whose peer hangs.
CHILD = """
import sys, threading, time
from trainer.training.abort import Abort, listen_to_supervisor
from trainer.errors import GantryError, LeaseLost, RunLost

def keep(error):
    print(f"kept because of {type(error).__name__}: {error}", flush=True)

abort = Abort()
abort.keep_with(keep)
beside = lambda act, *args: threading.Thread(target=act, args=args, daemon=True).start()
{}
threading.Event().wait()
"""


def child(code, **streams):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.replace("{}", code)],
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams,
    )


def leave(code, told=None):
    """Exit code, lines of stdout and text of stderr of a process that must end by itself."""
    with child(code) as process:
        try:
            out, err = process.communicate(told, timeout=DEADLINE_SECONDS)
        finally:
            process.kill()
    return process.returncode, out.decode().splitlines(), err.decode()


def test_a_lost_peer_keeps_what_there_is_says_so_and_leaves():
    code, out, err = leave('beside(abort.peer_lost, "worker 1 is gone")')
    assert code == 42 and "kept because of PeerLost: worker 1 is gone" in out
    assert err == "error: worker 1 is gone\n"


def test_lines_of_many_threads_are_whole():
    code = """
from trainer.console.printing import say
together = [threading.Thread(target=lambda: [say("x" * 50) for _ in range(400)]) for _ in range(8)]
[each.start() for each in together], [each.join() for each in together]
abort.peer_lost("enough")
"""
    _, out, _ = leave(code)
    assert out.count("x" * 50) == 3200 and len(out) == 3201


def test_a_word_of_the_supervisor_while_tensorflow_loads_is_said(tmp_path):
    """It is imported with stderr held back; here it is one that never comes to an end."""
    (tmp_path / "tensorflow.py").write_text("import time\nprint('imported', flush=True)\ntime.sleep(600)")
    code = f"""
from trainer.environment.quiet import load_tensorflow
sys.path.insert(0, {str(tmp_path)!r})
listen_to_supervisor(abort)
load_tensorflow()
"""
    with child(code) as process:
        assert process.stdout.readline() == b"imported\n"
        process.stdin.write(b"worker 1 is gone\n")
        process.stdin.flush()
        try:
            _, err = process.communicate(timeout=DEADLINE_SECONDS)
        finally:
            process.kill()
    assert (process.returncode, err) == (42, b"error: worker 1 is gone\n")


def test_a_stall_prints_the_stacks_of_all_threads_keeps_and_leaves():
    code, out, err = leave("""
def forlorn():
    threading.Event().wait()
beside(forlorn)
beside(abort.stalled, "no step for 9 s")
""")
    text = "\n".join(out)
    assert code == 42 and "kept because of PeerLost: no step for 9 s" in out
    assert " in forlorn" in text and " in stalled" in text and "error: no step for 9 s" in err


def test_with_a_lost_lease_nothing_is_kept():
    code, out, err = leave('beside(abort.lease_lost, LeaseLost("another has taken over"))')
    assert code == 42 and not [line for line in out if "kept" in line]
    assert err == "error: another has taken over\n"


def test_of_a_run_that_is_gone_nothing_is_kept_and_nobody_is_to_start_it_again():
    code, out, err = leave('beside(abort.lease_lost, RunLost("run.json is gone"))')
    assert code == 2 and not [line for line in out if "kept" in line]
    assert err == "error: run.json is gone\n"


def test_what_the_supervisor_says_is_the_reason():
    code, out, err = leave("listen_to_supervisor(abort)", b"worker 2 is being replaced\n")
    assert code == 42 and "kept because of PeerLost: worker 2 is being replaced" in out
    assert err == "error: worker 2 is being replaced\n"


def test_the_end_of_its_words_is_the_end_of_the_supervisor():
    code, out, err = leave("listen_to_supervisor(abort)", b"")
    assert code == 42 and "kept because of PeerLost: the supervisor of this process is gone" in out
    assert err == "error: the supervisor of this process is gone\n"


@pytest.mark.parametrize("told", [b"over\n", b""])
def test_one_that_leaves_by_itself_hears_of_lost_peers_no_more(told):
    code, out, err = leave(
        """
abort.calm()
listen_to_supervisor(abort)
for thread in threading.enumerate():
    if thread.name == "supervisor":
        thread.join()
print("leaving by itself", flush=True)
sys.exit(7)
""",
        told,
    )
    assert (code, out, err) == (7, ["leaving by itself"], "")


def test_the_first_reason_counts_and_is_kept_once():
    code, out, err = leave("""
def keep_long(error):
    keep(error)
    for reason in ("second", "third"):
        abort.peer_lost(reason)
abort.keep_with(keep_long)
beside(abort.peer_lost, "first")
""")
    assert code == 42 and [line for line in out if "kept" in line] == ["kept because of PeerLost: first"]
    assert err == "error: first\n"


def test_it_ends_even_when_nothing_can_be_kept():
    code, _, err = leave("""
def fail(error):
    raise GantryError("storage is away")
abort.keep_with(fail)
beside(abort.peer_lost, "worker 1 is gone")
""")
    assert code == 42
    assert err == "error: worker 1 is gone; not everything was kept: storage is away\n"


@pytest.mark.parametrize("stalled", [False, True])
def test_it_ends_even_when_nobody_reads_what_it_says(stalled):
    """A supervisor that was killed leaves pipes behind that nobody reads."""
    act = 'lambda: abort.stalled("no step")' if stalled else "lambda: listen_to_supervisor(abort)"
    with child(f"""
abort.keep_with(lambda error: None)
def later():
    while True:
        try:
            print("?", flush=True)
        except OSError:
            return ({act})()
        time.sleep(0.001)
beside(later)
""") as process:
        try:
            for pipe in (process.stdout, process.stderr, process.stdin):
                pipe.close()
            assert process.wait(DEADLINE_SECONDS) == 42
        finally:
            process.kill()
