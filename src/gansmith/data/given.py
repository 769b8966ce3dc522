"""A dataset that a Python user made, checked as a reader's are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gansmith.data.arrays import conditions_of
from gansmith.data.dataset import Dataset
from gansmith.data.scan import digest, fingerprint
from gansmith.errors import Refused


def checked(dataset: Dataset) -> Dataset:
    """A dataset that a Python user made: its array is what it says, and what it leaves out is filled in.

    Raises:
        Refused: where it is not.
    """
    array, labels = dataset.array, dataset.labels
    if array is not None:
        wanted = np.uint8 if dataset.modality == "image" else np.float32
        if array.shape != (dataset.count, *dataset.shape) or array.dtype != wanted:
            raise Refused(
                f"{dataset.name}: its array is {array.dtype} {list(array.shape)}, but {dataset.count} "
                f"{dataset.kinds} of {list(dataset.shape)} are {np.dtype(wanted)}"
            )
    if labels is not None:
        classes = dataset.classes or tuple(str(i) for i in range(int(labels.max()) + 1))
        if labels.shape != (dataset.count,) or labels.min() < 0 or labels.max() >= len(classes):
            raise Refused(f"{dataset.name}: its labels must be {dataset.count} numbers from 0 to {len(classes) - 1}")
        dataset = replace(dataset, labels=labels.astype(np.int64), classes=classes)
    if dataset.conditions is not None:
        dataset = replace(dataset, conditions=conditions_of(dataset.name, [dataset.conditions], dataset.count))
    beside = {name: other._replace(dataset=checked(other.dataset)) for name, other in dataset.beside.items()}
    for name, (other, paired) in beside.items():
        if paired and other.count != dataset.count:
            raise Refused(
                f"{dataset.name}: {name} beside it holds {other.count} examples, and not {dataset.count} to pair with"
            )
    dataset = replace(dataset, beside=beside)
    if array is not None and not dataset.fingerprint:
        others = [f"{name} {paired} {other.fingerprint}".encode() for name, (other, paired) in beside.items()]
        digests = [*(digest(one) for one in array), *others]
        dataset = replace(dataset, fingerprint=fingerprint(dataset.shape, digests, dataset.labels, dataset.conditions))
    return dataset
