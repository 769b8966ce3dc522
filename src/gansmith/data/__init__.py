"""A name or a path in, batches out."""

from gansmith.data.catalogue import CATALOGUE
from gansmith.data.dataset import Batch, Dataset
from gansmith.data.feed import Feed
from gansmith.data.inspection import Inspection, inspect
from gansmith.data.open import open_dataset

__all__ = ["CATALOGUE", "Batch", "Dataset", "Feed", "Inspection", "inspect", "open_dataset"]
