"""`gansmith doctor`: what this machine has, what is missing, and how to get it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from gansmith.cli.flags import Parser
from gansmith.cli.terminal import pairs
from gansmith.errors import DONE

EXAMPLES = """\
  gansmith doctor"""

NEEDED = (
    "torch", "numpy", "pillow", "scikit-learn", "safetensors", "PyYAML", "pydantic", "rich", "tensorboard",
)  # fmt: skip
EXTRAS = {
    "hub": ("Hugging Face datasets and models", ("datasets", "pyarrow", "huggingface_hub")),
    "fid": ("FID, KID and the Inception Score", ("torch_fidelity",)),
    "dinov2": ("scores in DINOv2's features", ("transformers",)),
    "video": ("films as .mp4", ("imageio_ffmpeg",)),
}
"""Optional extra: what it brings, and its modules."""


def parser() -> Parser:
    """The command's flags."""
    return Parser("doctor", "Say what this machine has, what is missing, and how to get it.", EXAMPLES)


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    parser().read(argv)
    sections = {
        "versions": versions(),
        "processor": processor(),
        "devices": devices(),
        "compiler": compiler(),
        "optional": extras(),
        "disk": disk(),
    }
    for name, rows in sections.items():
        print(name)
        print(pairs(rows))
    return DONE


def versions() -> list[tuple[str, str]]:
    """Python and each package that gansmith stands on."""
    from gansmith.cli.main import version

    rows = [("gansmith", version()), ("python", f"{platform.python_version()} on {platform.platform(terse=True)}")]
    for name in NEEDED:
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            rows.append((name, f"missing: pip install {name}"))
    return rows


def processor() -> list[tuple[str, str]]:
    """The CPU, its cores and threads, and how it multiplies fastest."""
    rows = [("name", cpu_name()), ("cores", f"{_usable_cores()} usable of {os.cpu_count()}")]
    try:
        import torch
    except ImportError:
        return rows
    rows.append(("torch threads", str(torch.get_num_threads())))
    rows.append(("vector units", torch.backends.cpu.get_cpu_capability()))
    return rows + _probe()


def _probe() -> list[tuple[str, str]]:
    """What the engine finds fastest here, in its own words."""
    from gansmith.engine import hardware

    return [("measured" if i == 0 else "", line) for i, line in enumerate(hardware.probe().lines())]


def cpu_name() -> str:
    """What the processor is called, as well as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> list[tuple[str, str]]:
    """Accelerators that torch can use."""
    try:
        import torch
    except ImportError:
        return [("torch", "missing: pip install torch")]
    rows = []
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        rows.append((f"cuda:{i}", f"{about.name}, {about.total_memory / 2**30:.0f} GiB"))
    if torch.backends.mps.is_available():
        rows.append(("mps", "Apple GPU (untested)"))
    if not rows:
        how = "no GPU is seen"
        if torch.version.cuda is None and sys.platform != "darwin":
            how += "; this torch is built for the CPU alone (https://pytorch.org/get-started has others)"
        rows.append(("cpu", how))
    return rows


def compiler() -> list[tuple[str, str]]:
    """The C++ compiler that `torch.compile` needs on a CPU."""
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++", "c++"]
    found = next((path for name in wanted if (path := shutil.which(name.split()[0]))), None)
    if found:
        return [("C++", found)]
    how = {
        "linux": "apt install g++, or your distribution's",
        "darwin": "xcode-select --install",
        "win32": "Visual Studio's Build Tools",
    }.get(sys.platform, "install g++ or clang")
    return [("C++", f"missing; training works, but is never compiled ({how})")]


def extras() -> list[tuple[str, str]]:
    """Optional parts: present, or how to get them."""
    rows = []
    for extra, (what, modules) in EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        state = f"missing ({', '.join(missing)}): pip install 'gansmith[{extra}]'" if missing else "present"
        rows.append((extra, f"{state}  ({what})"))
    return [*rows, *(("weights" if i == 0 else "", each) for i, each in enumerate(_weights()))]


def _weights() -> list[str]:
    """Whether published weights are here; unchecked, since that takes a second."""
    try:
        from gansmith.metrics import inception, lpips
    except ImportError:  # without torch
        return ["unknown, without torch"]
    named = (("Inception's", inception.found(), "fid"), ("LPIPS's", lpips.found(), "lpips"))
    how = "missing; `gansmith eval RUN --metrics {}` says where to get them"
    return [f"{whose}: {file or how.format(metric)}" for whose, file, metric in named]


def disk() -> list[tuple[str, str]]:
    """Room for runs, and the cache of downloads."""
    from gansmith.data.download import cache_folder

    cache = cache_folder()
    there = next(p for p in (cache, *cache.parents) if p.exists())
    rows = [("here", f"{shutil.disk_usage(Path.cwd()).free / 1e9:,.1f} GB free in {Path.cwd()}")]
    rows.append(("cache", f"{cache} ({shutil.disk_usage(there).free / 1e9:,.1f} GB free; $GANSMITH_CACHE moves it)"))
    return rows
