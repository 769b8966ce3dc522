"""Several ranks that train together, started by torchrun; `torch.distributed` is the engine.

No DDP wrapper: penalties need a second derivative, which its hooks get wrong. The trainer averages one
flat gradient a network instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

# Imported before any rank joins: its defaults keep the group that stands at import (`group=dist.group.WORLD`), and
# a group kept so outlives the joining, whose threads then abort the process when the interpreter ends.
import torch.distributed.nn

from gansmith import collectives
from gansmith.errors import GansmithError, Refused

WAIT = timedelta(hours=3)
"""For which a rank waits for another: the first one draws and scores snapshots while the others wait."""


LOST = ("connection closed by peer", "connection reset by peer", "broken pipe", "remote process exited")
"""What gloo and nccl say of a rank that is gone."""


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the other ranks, if there are any, and part from them at the end.

    Raises:
        Refused: another rank has ended; where it said why, this one is silent.
    """
    if not launched() or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=WAIT)
    try:
        yield
    except GansmithError as error:
        error.silent = not _first_to_fail()
        raise
    except RuntimeError as error:
        if not any(words in str(error).lower() for words in LOST):
            raise
        lost = Refused("another rank has ended", "`gansmith resume` goes on from the last checkpoint.")
        lost.silent = not _first_to_fail()
        raise lost from None
    finally:
        dist.destroy_process_group()


def _first_to_fail() -> bool:
    """Whether no other rank has told of a failure yet."""
    try:
        return dist.distributed_c10d._get_default_store().add("gansmith/failures", 1) == 1
    except RuntimeError:  # the store is gone with the rank that held it
        return False


def broadcast(tensors: Iterable[torch.Tensor]) -> None:
    """Give every rank the first one's values, in place."""
    if collectives.world() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def agree(flag: bool, device: torch.device) -> bool:
    """Whether any rank says so: a stop, a failure."""
    if collectives.world() == 1:
        return flag
    vote = torch.tensor([float(flag)], device=device)
    dist.all_reduce(vote)
    return bool(vote.item() > 0)


def share(number: float, device: torch.device) -> float:
    """The first rank's number, on every rank."""
    if collectives.world() == 1:
        return number
    carrier = torch.tensor([number], device=device, dtype=torch.float64)
    dist.broadcast(carrier, 0)
    return float(carrier.item())
