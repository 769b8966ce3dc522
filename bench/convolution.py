"""Convolutions with few places: matrix products of patches against the CPU's convolution, forward and back.

    python bench/convolution.py [--threads 1]

Each case is one convolution with its gradients by input and weights, as a training takes it: CPU microseconds by the
product and by the kernel, in turn, the least of several; where the weights' gradient is added to a flat buffer, as
the engine has it. Places are those that the kernel is taken at, over the batch. `gansmith.networks.convolution.PLACES`
is set by this table.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from common import child, flags, record, run_child, table

from gansmith.networks import convolution

CASES = (
    # batch, inputs, outputs, side, kernel, stride
    (1, 128, 128, 2, 4, 2), (1, 128, 256, 4, 4, 2), (1, 64, 128, 8, 4, 2), (2, 128, 128, 4, 4, 2),
    (4, 128, 128, 4, 4, 2), (1, 512, 512, 4, 3, 1), (8, 128, 128, 4, 4, 2), (1, 32, 64, 16, 4, 2), (1, 64, 64, 8, 3, 1),
    (8, 128, 128, 4, 3, 1), (1, 16, 32, 32, 4, 2), (2, 64, 128, 8, 4, 1),
)  # fmt: skip


def seconds(case: tuple[int, ...], dtype: torch.dtype, places: int, tries: int, repeats: int) -> float:
    """The least CPU time of a convolution and its two gradients."""
    batch, inputs, outputs, side, kernel, stride = case
    convolution.PLACES = places
    x = torch.randn(batch, inputs, side, side).to(dtype, memory_format=torch.channels_last).requires_grad_()
    w = torch.randn(outputs, inputs, kernel, kernel).to(dtype, memory_format=torch.channels_last).requires_grad_()
    total, best = torch.zeros_like(w), float("inf")
    for attempt in range(tries + 1):
        began = time.process_time()
        for _ in range(repeats):
            y = convolution.conv2d(x, w, stride=stride, padding=1)
            gradients = torch.autograd.grad(y, (x, w), y)
            total.copy_(gradients[1])
        if attempt:  # the first is not counted
            best = min(best, (time.process_time() - began) / repeats)
    return best


def measure(order: dict[str, Any]) -> list[dict[str, Any]]:
    """All cases."""
    torch.set_num_threads(order["threads"])
    tries, repeats = (1, 1) if order["quick"] else (7, 30)
    rows = []
    for case in CASES:
        batch, inputs, outputs, side, kernel, stride = case
        row: dict[str, Any] = {
            "batch": batch, "channels": f"{inputs} to {outputs}", "side": side, "kernel": kernel, "stride": stride,
            "places": batch * ((side + 2 - kernel) // stride + 1) ** 2,
        }  # fmt: skip
        for dtype in (torch.float32, torch.bfloat16):
            name = str(dtype).removeprefix("torch.")
            product, other = (1e6 * seconds(case, dtype, places, tries, repeats) for places in (10**9, 0))
            row |= {f"{name}, product": product, f"{name}, kernel": other, f"{name}, times": other / product}
        rows.append(row)
    return sorted(rows, key=lambda row: row["places"])


def main() -> None:
    """Print the table."""
    parser = flags(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if run_child(args.child, measure):
        return
    rows = child("convolution.py", {"threads": args.threads, "quick": args.quick}, threads=args.threads)
    print(table(rows))
    record("convolution", rows, quick=args.quick)


if __name__ == "__main__":
    main()
