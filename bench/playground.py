"""How fast the playground's Lab draws and trains, and whether it keeps its memory.

    python bench/playground.py                 frames a second with everything shown, and training beside it
    python bench/playground.py --soak 60       minutes of running, scrubbing, branching, restarting; memory as it goes

The first drives a page in headless Chromium, which draws each frame and acknowledges it, as a user's does; headless
speed is that of the same player by itself in this process, before and after, the page then closed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from playground.chromium import FLAGS, FOUND
from playground.serving import Client

from gansmith.playground.lab.play import Play
from gansmith.playground.lab.settings import Settings, opened

PARTS = ("warp", "arrows", "field", "network")


def headless(seconds: float) -> float:
    """Rounds a second of the Lab's usual training, with nothing beside it."""
    torch.set_num_threads(1)
    settings = Settings()
    player = Play(settings, opened(settings, None)).player
    for _ in range(100):
        player.round()
    begun, rounds = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        player.round()
        rounds += 1
    return rounds / (time.perf_counter() - begun)


def server(runs: Path) -> tuple[subprocess.Popen[str], str]:
    """A playground in a process of its own, and its address."""
    command = [sys.executable, "-m", "gansmith", "playground", str(runs), "--no-browser", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().split()[1]


def frames(seconds: float) -> dict[str, float]:
    """Frames drawn and rounds played a second with everything shown, and the time to the first picture."""
    with tempfile.TemporaryDirectory() as folder:
        process, address = server(Path(folder))
        try:
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=FOUND, args=FLAGS)
                page = browser.new_page(viewport={"width": 1300, "height": 900})
                # Each picture that is drawn writes its surface once.
                page.add_init_script(
                    "window.drawn = 0; const old = CanvasRenderingContext2D.prototype.putImageData;"
                    "CanvasRenderingContext2D.prototype.putImageData = function (...a)"
                    "{ window.first ??= performance.now(); window.drawn++; return old.apply(this, a); };"
                )
                page.goto(address)  # once, so that the server is warm
                page.wait_for_selector("figcaption:has-text('step')")
                page.reload()
                page.wait_for_selector("figcaption:has-text('step')")
                first = page.evaluate("window.first") / 1000  # from when the page began to load
                for part in PARTS:
                    page.check(f"[data-part={part}]")
                page.click("[data-do=run]")
                time.sleep(2)
                look = "() => [window.drawn, Number(document.querySelector('output').dataset.at), performance.now()]"
                a = page.evaluate(look)
                time.sleep(seconds)
                b = page.evaluate(look)
        finally:
            process.terminate()
            process.wait(20)
    took = (b[2] - a[2]) / 1000
    return {"frames": (b[0] - a[0]) / took, "rounds": (b[1] - a[1]) / took, "first": first}


def memory(pid: int) -> float:
    """MiB that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def soak(minutes: float) -> list[tuple[float, float]]:
    """Minutes and MiB, while one page does all that can be done, and others come and go."""
    found, draw = [], random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        process, address = server(Path(folder))
        port = int(address.split(":")[2].split("/")[0])
        begun, shown = time.monotonic(), 0.0
        try:
            with Client(port) as page:
                page.ask("want", parts=["fakes", "surface", *PARTS])
                page.ask("start", sides=[{}])
                while (now := (time.monotonic() - begun) / 60) < minutes:
                    page.ask("run", speed=0)
                    until = time.monotonic() + 5
                    while time.monotonic() < until:
                        page.next()
                    end = page.heard[-1].get("end", 100)
                    page.ask("seek", at=draw.randrange(max(end, 1)))
                    page.ask(draw.choice(["branch", "acts", "pause"]))
                    if draw.random() < 0.2:
                        page.ask("start", sides=[{"seed": draw.randrange(100)}] * draw.choice([1, 2]))
                    page.heard.clear()
                    with Client(port) as other:  # one that leaves in the middle of a training
                        other.ask("start", sides=[{"data": "grid"}])
                        other.tell("run", speed=0)
                    if now >= shown:
                        found.append((now, memory(process.pid)))
                        print(f"{now:6.1f} min  {found[-1][1]:7.1f} MiB", flush=True)
                        shown = now + max(minutes / 30, 0.25)
        finally:
            process.terminate()
            process.wait(20)
    return found


def main() -> None:
    """Measure, and print."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--seconds", type=float, default=15)
    flags.add_argument("--soak", type=float, metavar="MINUTES")
    args = flags.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if args.soak:
        half = soak(args.soak)
        late = [mib for _, mib in half[len(half) // 2 :]]
        print(f"second half: {min(late):.0f} to {max(late):.0f} MiB")
        return
    before = headless(args.seconds / 3)
    found = frames(args.seconds)
    alone = (before + headless(args.seconds / 3)) / 2
    print(json.dumps({**{k: round(v, 2) for k, v in found.items()}, "headless": round(alone, 1)}))
    print(f"{found['frames']:.0f} frames a second; training at {found['rounds'] / alone:.0%} of its headless speed")


if __name__ == "__main__":
    main()
