import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gansmith.errors import Refused
from gansmith.playground.trainings import Trainings

SAYS = "import sys; print('x' * 5000); print('\\033[31mred\\033[0m', *sys.argv[1:])"
WAITS = """
import signal, sys, time
def stop(*_):
    print("saved"); sys.exit(0)
signal.signal(signal.SIGINT, stop)
print("ready", flush=True)
time.sleep(30)
"""


def until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def waiting():
    trainings = Trainings((sys.executable, "-c", WAITS), most=2)
    yield trainings
    for name in trainings.names():
        if trainings.living(name):
            # Python that is still starting may lose the signal.
            until(lambda name=name: trainings.said(name) == "ready")
            trainings.stop(name, None)
            until(lambda name=name: not trainings.living(name))
        trainings.forget(name)


def test_what_a_training_says_last_is_kept():
    trainings = Trainings((sys.executable, "-c", SAYS))
    trainings.begin("a", ["train", "gan"])
    until(lambda: not trainings.living("a"))
    assert trainings.said("a") == "red train gan"
    assert trainings.code("a") == 0
    trainings.forget("a")
    assert (trainings.said("a"), trainings.code("a"), trainings.names()) == ("", None, [])


def test_a_training_is_stopped_as_by_ctrl_c(waiting):
    waiting.begin("a", [])
    until(lambda: waiting.said("a") == "ready")
    with pytest.raises(Refused, match="a: is being trained already"):
        waiting.begin("a", [])
    waiting.forget("a")  # not while it goes on
    waiting.stop("a", None)
    until(lambda: not waiting.living("a"))
    assert waiting.said("a").endswith("saved")
    with pytest.raises(Refused, match="no process of this machine is known"):
        waiting.stop("a", None)


def test_only_so_many_go_on_at_once(waiting):
    waiting.begin("a", [])
    waiting.begin("b", [])
    with pytest.raises(Refused, match="2 trainings go on already"):
        waiting.begin("c", [])


def test_it_has_a_session_of_its_own(waiting):
    waiting.begin("a", [])
    until(lambda: waiting.said("a") == "ready")
    assert os.getsid(waiting._processes["a"][0].pid) != os.getsid(0)


def test_a_training_of_another_terminal_is_stopped_by_its_number(waiting):
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        waiting.stop("other", other.pid)
        assert other.stdout.read() == "saved\n"
    with pytest.raises(Refused, match="no process of this machine"):
        waiting.stop("mine", os.getpid())  # the server itself is never stopped so


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="without /proc")
def test_it_goes_on_when_the_server_is_killed():
    code = f"""
import sys, time
from gansmith.playground.trainings import Trainings
trainings = Trainings((sys.executable, "-c", {WAITS!r}))
trainings.begin("a", [])
while trainings.said("a") != "ready":
    time.sleep(0.01)
print(trainings._processes["a"][0].pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        number = int(server.stdout.readline())
        server.kill()
    time.sleep(0.1)
    os.kill(number, 0)  # it is there
    Trainings().stop("a", number)
    until(lambda: gone(number))


def gone(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{number}/stat", encoding="utf-8") as file:  # ended, and only not yet fetched
        return file.read().rpartition(")")[2].split()[0] == "Z"
