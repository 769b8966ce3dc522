"""Batches out of a dataset, in an order that is a pure function of (seed, n)."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.data.dataset import Batch, Dataset
from gansmith.data.order import MIRROR, ORDER, bits, shuffled
from gansmith.draws import mix

_EPOCHS_KEPT = 4
_BATCHES_AHEAD = 3


class _Epoch(NamedTuple):
    order: torch.Tensor  # int64 [count], on the device
    flips: torch.Tensor | None  # bool [count], on the host: how many rows to flip is known without waiting


class Sampler(Protocol):
    """Chooses the rows, and says something of each; pure functions of the place in the training."""

    def indices(self, first: int, n: int) -> NDArray[np.int64]:
        """Which examples come `first`-th to (first + n)-th, int64 [n]."""
        ...

    def more(self, first: int, n: int) -> Mapping[str, NDArray[np.float32]]:
        """What joins `Batch.more` of them, float32 [n, …] by name."""
        ...


class Feed:
    """A rank's share of each batch, on its device.

    Which example comes n-th: with `epoch, k = divmod(n, count)`, it is the k-th of a permutation of all
    examples that is keyed by (seed, epoch). So batches straddle epochs, none is dropped, and a feed that
    starts anywhere gives what one that ran there would. Whether the n-th is mirrored is keyed by (seed, n).

    A dataset in memory lies on the device in its own type and is gathered and normalised there. Any other
    is read by threads (pictures are decoded outside of Python's lock), some batches ahead. What lies beside the
    dataset comes along in `Batch.more`: the same rows where it is paired, and otherwise by a feed of its own.

    Args:
        dataset: what to feed.
        batch: examples of a batch, over all ranks; may exceed the number of examples.
        seed: of the order and of the mirroring.
        device: where batches are wanted.
        rank, world: this rank and the number of ranks; rank r has the slice
            [r * batch // world, (r + 1) * batch // world) of each batch.
        mirror: flip each image left to right with probability 1/2.
        workers: threads that read a dataset that is not in memory; 0 reads in the caller's, None chooses.
        channels_last: lay image batches out in memory as [B, H, W, C]; the shape stays [B, C, H, W].
        sampler: chooses the rows in the permutation's place; or None.

    Raises:
        ValueError: where a number is out of its range, or the dataset is empty.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch: int,
        seed: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
        mirror: bool = False,
        workers: int | None = None,
        channels_last: bool = False,
        sampler: Sampler | None = None,
    ) -> None:
        if dataset.count < 1 or batch < 1 or not 0 <= rank < world:
            raise ValueError(f"cannot feed batches of {batch} from {dataset.count} examples to rank {rank} of {world}")
        self.dataset, self.batch, self.seed = dataset, batch, seed
        self.count, self.device, self.sampler = dataset.count, torch.device(device), sampler
        self.mirror = mirror and dataset.modality == "image"
        self._low, self._high = rank * batch // world, (rank + 1) * batch // world
        self._epochs: OrderedDict[int, _Epoch] = OrderedDict()
        told = dataset.labels if dataset.conditions is None else dataset.conditions
        self._labels = None if told is None else torch.tensor(told, device=self.device)
        workers = min(8, os.cpu_count() or 1) if workers is None else workers
        self._main = _Source(dataset, self.device, workers, channels_last)
        self._paired = {
            name: _Source(other.dataset, self.device, workers, channels_last)
            for name, other in dataset.beside.items() if other.paired
        }  # fmt: skip
        self._others = {
            name: Feed(
                other.dataset, batch=batch, seed=mix(seed, *name.encode()), device=device, rank=rank, world=world,
                mirror=mirror, workers=workers, channels_last=channels_last,
            )
            for name, other in dataset.beside.items() if not other.paired
        }  # fmt: skip

    def at(self, first: int) -> Batch:
        """The slice, for this rank, of the batch whose first example is the `first`-th of the training.

        Returns:
            Data float32 [slice, *shape], images as x / 127.5 - 1; labels int64 [slice], or conditions float32
            [slice, V] in their place, or None; and what lies beside the dataset, likewise.
        """
        start, size = first + self._low, self._high - self._low
        index, flips = self._lookup(start, size)
        labels = None if self._labels is None else self._labels.index_select(0, index)
        soon: dict[int, int] = {}
        if self._main.reads or any(source.reads for source in self._paired.values()):
            for ahead in range(1, _BATCHES_AHEAD + 1):
                later = start + ahead * self.batch
                soon.update(enumerate(self._lookup(later, size)[0].tolist(), later))
        more = {name: source.take(start, index, flips, soon) for name, source in self._paired.items()}
        more |= {name: feed.at(first).data for name, feed in self._others.items()}
        if self.sampler is not None:
            told = self.sampler.more(start, size)
            more |= {name: torch.from_numpy(value).to(self.device) for name, value in told.items()}
        return Batch(self._main.take(start, index, flips, soon), labels, more)

    def indices(self, first: int, n: int) -> NDArray[np.int64]:
        """Which examples come `first`-th to (first + n)-th, over all ranks; int64 [n]."""
        return self._lookup(first, n)[0].cpu().numpy().copy()

    def close(self) -> None:
        """Stop the threads, if any."""
        for source in (self._main, *self._paired.values(), *self._others.values()):
            source.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _lookup(self, first: int, n: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        order, flips = self._shuffled(first, n)
        if self.sampler is not None:
            order = torch.from_numpy(self.sampler.indices(first, n)).to(self.device)
        return order, flips

    def _shuffled(self, first: int, n: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        epoch, k = divmod(first, self.count)
        if k + n <= self.count:
            # The usual case, and the cheap one: two views, nothing computed.
            now = self._epoch(epoch)
            return now.order[k : k + n], None if now.flips is None else now.flips[k : k + n]
        order, flips = [], []
        while n > 0:
            now, taken = self._epoch(epoch), min(n, self.count - k)
            order.append(now.order[k : k + taken])
            if now.flips is not None:
                flips.append(now.flips[k : k + taken])
            epoch, k, n = epoch + 1, 0, n - taken
        return torch.cat(order), torch.cat(flips) if flips else None

    def _epoch(self, epoch: int) -> _Epoch:
        found = self._epochs.get(epoch)
        if found is None:
            order = torch.from_numpy(shuffled(self.count, (ORDER, self.seed, epoch))).to(self.device)
            flips = None
            if self.mirror:
                odd = bits((MIRROR, self.seed), epoch * self.count, self.count) & np.uint64(1)
                flips = torch.from_numpy(odd.astype(np.bool_))
            found = self._epochs[epoch] = _Epoch(order, flips)
            if len(self._epochs) > _EPOCHS_KEPT:
                self._epochs.popitem(last=False)
        return found


class _Source:
    """Examples of one dataset by their numbers, on the device and ready to use.

    Attributes:
        reads: whether they are read one by one, and do not lie there.
    """

    def __init__(self, dataset: Dataset, device: torch.device, workers: int, channels_last: bool) -> None:
        self._device, self._pictures = device, dataset.modality == "image"
        self._channels_last = channels_last and self._pictures
        self.reads = dataset.array is None
        self._reader = _Reader(dataset, workers) if self.reads else None
        self._data = None if dataset.array is None else self._resident(dataset.array)

    def take(self, start: int, index: torch.Tensor, flips: torch.Tensor | None, soon: dict[int, int]) -> torch.Tensor:
        """Examples by number; which comes `start`-th in the training, and which are wanted soon, is for the reader."""
        data = self._read(start, index, soon) if self._data is None else self._data.index_select(0, index)
        if not self._pictures:
            return data
        if flips is not None:
            # Only the rows to flip are touched: a masked choice over all costs ten times as much on a CPU.
            rows = flips.nonzero().squeeze(1).to(self._device, non_blocking=True)
            data.index_copy_(0, rows, data.index_select(0, rows).flip(2 if self._channels_last else 3))
        if self._channels_last:
            data = data.permute(0, 3, 1, 2)
        return data.float().div_(127.5).sub_(1.0)

    def close(self) -> None:
        """Stop the threads, if any."""
        if self._reader is not None:
            self._reader.close()

    def _resident(self, array: NDArray[np.uint8] | NDArray[np.float32]) -> torch.Tensor:
        # An array that came out of a buffer is read-only, which torch warns of; only then is it copied.
        data = torch.from_numpy(array if array.flags.writeable else array.copy())
        if self._channels_last:
            data = data.permute(0, 2, 3, 1)
        return data.contiguous().to(self._device)

    def _read(self, start: int, index: torch.Tensor, soon: dict[int, int]) -> torch.Tensor:
        assert self._reader is not None
        data = torch.from_numpy(self._reader.take(dict(enumerate(index.tolist(), start)), soon))
        if self._channels_last:
            data = data.permute(0, 2, 3, 1).contiguous()
        if self._device.type == "cuda":
            # A pinned copy lets the transfer run beside the computation.
            return data.pin_memory().to(self._device, non_blocking=True)
        return data.to(self._device)


class _Reader:
    """Reads examples in threads, and keeps those that will be asked for soon.

    Keyed by n, the example's place in the training, so that a jump (a resume, a roll-back) needs no
    restart: what is still wanted is kept, and the rest is dropped.
    """

    def __init__(self, dataset: Dataset, workers: int) -> None:
        assert dataset.read is not None
        self._read, self._shape = dataset.read, dataset.shape
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="gansmith-feed") if workers > 0 else None
        self._pending: dict[int, Future[NDArray[np.uint8]]] = {}

    def take(self, wanted: dict[int, int], soon: dict[int, int]) -> NDArray[np.uint8]:
        """Examples by n, stacked in the order of `wanted`; `soon` are begun, and not waited for."""
        out = np.empty((len(wanted), *self._shape), dtype=np.uint8)
        if self._pool is None:
            for row, which in enumerate(wanted.values()):
                out[row] = self._read(which)
            return out
        keep = {**wanted, **soon}
        for n in [n for n in self._pending if n not in keep]:
            self._pending.pop(n).cancel()
        for n, which in keep.items():
            if n not in self._pending:
                self._pending[n] = self._pool.submit(self._read, which)
        for row, n in enumerate(wanted):
            out[row] = self._pending[n].result()
        return out

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pending.clear()
