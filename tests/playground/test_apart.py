import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gansmith.errors import Refused
from gansmith.playground.apart import Worker


class Echo:
    def __init__(self, word):
        self.word, self.heard = word, 0

    def answer(self, request):
        if request.get("do") == "die":
            os._exit(9)
        if request.get("do") == "refuse":
            raise Refused("not this", "but that")
        self.heard += 1
        return {"word": self.word, "heard": self.heard, "process": os.getpid()}


def test_it_answers_in_one_other_process_which_remembers_and_is_replaced_when_it_dies():
    worker = Worker(Echo, "ho")
    try:
        first, second = worker.answer({}), worker.answer({})
        assert first["process"] == second["process"] != os.getpid()
        assert (second["word"], second["heard"]) == ("ho", 2)
        with pytest.raises(Refused) as told:
            worker.answer({"do": "refuse"})
        assert (told.value.what, told.value.remedy) == ("not this", "but that")
        with pytest.raises(Refused, match="the process that holds the models has ended"):
            worker.answer({"do": "die"})
        third = worker.answer({})
        assert third["heard"] == 1
        os.kill(third["process"], signal.SIGKILL)
        time.sleep(0.2)
        assert worker.answer({})["process"] != third["process"]
    finally:
        worker.close()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="without /proc")
def test_it_ends_when_the_server_is_killed(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(
        "import time\n"
        "from gansmith.playground.apart import Worker\n"
        "class Waits:\n"
        "    def answer(self, request):\n"
        "        import os\n"
        "        return {'process': os.getpid()}\n"
        "if __name__ == '__main__':\n"
        "    print(Worker(Waits).answer({})['process'], flush=True)\n"
        "    time.sleep(60)\n",
        encoding="utf-8",
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as server:
        number = int(server.stdout.readline())
        assert Path(f"/proc/{number}").exists()
        server.kill()
    end = time.monotonic() + 5
    while Path(f"/proc/{number}/cmdline").exists() and Path(f"/proc/{number}/cmdline").read_bytes():
        assert time.monotonic() < end, "it is still there"
        time.sleep(0.02)
