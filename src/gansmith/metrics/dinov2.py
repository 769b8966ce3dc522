"""Features of DINOv2, which agree with human judgement across data sets where Inception's do not.

The network is that of Oquab et al. (2023, arXiv:2304.07193); a Fréchet distance in the features of its ViT-L/14
is FD-DINOv2, which Stein et al. (2023, arXiv:2306.04675) recommend.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from gansmith.errors import Refused
from gansmith.metrics.extractor import exact_float32
from gansmith.metrics.inception import batches, check_images, first_line, sum_of

VERSION = 1
"""Raised whenever the same weights and images would give other features."""

MODEL = "facebook/dinov2-large"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
SIDE = 224

NAMES = {(384, 12): "dinov2-small", (768, 12): "dinov2-base", (1024, 24): "dinov2", (1536, 40): "dinov2-giant"}
"""What a model of so many dimensions and layers is called; ViT-L/14, the published choice, by no more than `dinov2`."""

_DECIDES = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "mlp_ratio", "patch_size", "image_size", "hidden_act",
    "layer_norm_eps", "qkv_bias", "use_swiglu_ffn",
)  # fmt: skip
"""What of a model's configuration decides its features, beside its weights."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Dinov2Extractor:
    """The class token of a DINOv2 model after its last layer norm.

    Needs the extra `gansmith[dinov2]`. The weights come from a folder or from what the Hugging Face Hub's cache
    on this machine holds; from the network only where that is allowed; and only as safetensors.

    Args:
        model: a folder with `config.json` and `model.safetensors`, or an id of the Hub; None is ViT-L/14's,
            `facebook/dinov2-large`.
        download: get the model from the Hub where it is not on this machine.
        device: where to compute.

    Attributes:
        name: `dinov2` for ViT-L/14, `dinov2-base` and so on for others: of the network's size, not of its folder.
        dims: length of a feature vector: 1024 for ViT-L/14, 768 for ViT-B/14.
        checksum: sha256 over the version, the architecture and the weights.
        card: what decides the features, plain JSON; it names the model.

    Raises:
        Refused: the model is not found, or is none of DINOv2's; or the extra is not installed, or cannot be imported.
    """

    version = VERSION

    def __init__(
        self, model: str | Path | None = None, *, download: bool = False, device: torch.device | str = "cpu"
    ) -> None:
        model = model or MODEL
        folder = _folder(model, download)
        decides = _architecture(folder)
        self.dims = int(decides["hidden_size"])
        self.name = NAMES.get((self.dims, decides["num_hidden_layers"]), f"dinov2-{self.dims}")
        self.device = torch.device(device)
        self._network = _load(folder).to(self.device)
        weights = sum_of(folder / WEIGHTS)
        about = json.dumps([VERSION, decides, weights], sort_keys=True)
        self.checksum = hashlib.sha256(about.encode()).hexdigest()
        self.card: dict[str, Any] = {
            "network": "DINOv2, in float32",
            "model": folder.resolve().name if Path(model).expanduser().is_dir() else str(model),
            "architecture": decides,
            "weights": WEIGHTS,
            "weights_sha256": weights,
            "features": f"{self.dims}, the class token after the last layer norm",
            "resize": f"{SIDE}x{SIDE}, bicubic with antialiasing, on float32, cut to 0 to 255",
            "range": "0 to 255, then /255, then ImageNet's mean and deviation",
            "positions": "to the grid of 224x224 as the authors' code takes them: bicubic, with its offset of 0.1",
            "channels": "3; grey repeated to 3",
        }

    def features(self, examples: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the features of images uint8 [N, C, H, W], C = 1 or 3; float32 [N, dims].

        Raises:
            Refused: where they are no such images.
        """
        size = 8 if self.device.type == "cpu" else 128
        parts = [self.embed(batch).cpu().numpy() for batch in batches(examples, self.name, size)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dims), np.float32)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Give the features of images that need not be whole numbers; all at once, so a batch of them.

        Args:
            images: 0 to 255, of any type, [N, C, H, W], C = 1 or 3.

        Returns:
            float32 [N, dims], on the extractor's device; without gradients.

        Raises:
            Refused: where they are no such images.
        """
        check_images(images.shape, self.name)
        with torch.inference_mode(), exact_float32():
            x = images.to(self.device, torch.float32)
            x = functional.interpolate(x, size=(SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True)
            # A cubic overshoots at edges, to values that no image has.
            x = x.clamp(0, 255).div(255).expand(-1, 3, -1, -1)
            mean, deviation = (x.new_tensor(each).view(1, 3, 1, 1) for each in (_MEAN, _DEVIATION))
            return self._network((x - mean) / deviation).last_hidden_state[:, 0]


def found(model: str | Path | None = None) -> Path | None:
    """Where a model's files are on this machine, unchecked: its folder, or its place in the Hub's cache; else None."""
    model = model or MODEL
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder if all((folder / name).is_file() for name in (CONFIG, WEIGHTS)) else None
    try:
        from huggingface_hub import try_to_load_from_cache

        places = [try_to_load_from_cache(str(model), name) for name in (CONFIG, WEIGHTS)]
    except (ImportError, ValueError):  # no library, so no cache; or what is no id
        return None
    return Path(places[0]).parent if all(isinstance(place, str) for place in places) else None  # type: ignore[arg-type]


def _folder(model: str | Path, download: bool) -> Path:
    folder = found(model)
    if folder is not None:
        return folder
    if Path(model).expanduser().is_dir():
        raise Refused(f"{model}: holds no {CONFIG} and {WEIGHTS}; a DINOv2 model is read from these two, no others")
    if not download:
        raise Refused(
            f"DINOv2 features need the model {model}, and neither a folder of that name nor the Hub's cache holds it",
            f"Allow the download; or put its {CONFIG} and {WEIGHTS} into a folder, and name that.",
        )
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(str(model), allow_patterns=[CONFIG, WEIGHTS]))
    except ImportError:
        raise _not_installed() from None
    except Exception as error:  # no network, no such id, no right to it: all kinds
        why = f"{model}: the Hugging Face Hub did not give it ({first_line(error)})"
        raise Refused(why, "Check the id on huggingface.co and the network.") from None


def _architecture(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise Refused(f"{folder / CONFIG}: cannot be read ({first_line(error)})") from None
    if kind != "dinov2":
        raise Refused(f"{folder}: is a model of type {kind}, and not dinov2")
    missing = [name for name in ("hidden_size", "num_hidden_layers") if not isinstance(config.get(name), int)]
    if missing:
        raise Refused(f"{folder / CONFIG}: says no {missing[0]}")
    return {name: config[name] for name in _DECIDES if name in config}


def _load(folder: Path) -> Any:
    try:
        from transformers import Dinov2Model
    except ImportError as error:
        if _missing(error, "transformers"):
            raise _not_installed() from None
        raise _cannot_import(error) from None
    except RuntimeError as error:
        raise _cannot_import(error) from None
    try:
        with _quiet():
            loaded: Any = Dinov2Model.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told below, in one line
                dtype=torch.float32,
                attn_implementation="eager",  # whose products are all under exact_float32
            )
    except Exception as error:  # a damaged file, a configuration that contradicts itself: all kinds
        raise Refused(f"{folder}: cannot be loaded ({first_line(error)})") from None
    network, report = loaded
    # What the file lacks would have been drawn at random.
    lacking = sorted(report["missing_keys"]) + sorted(each[0] for each in report["mismatched_keys"])
    if lacking:
        raise Refused(f"{folder / WEIGHTS}: lacks {len(lacking)} weights of the model, or has them of another size")
    _place_positions(network)
    return network.eval().requires_grad_(False)


def _place_positions(network: Any) -> None:
    """Take the position embeddings to the grid of a 224x224 image once, as DINOv2's authors do.

    The published weights hold 37x37 of them. The authors' code resizes by (16 + 0.1) / 37 rather than by 16 / 37,
    and published features are those; the library would do it by the latter.
    """
    embeddings = network.embeddings
    held = embeddings.position_embeddings.data
    side, grid = round((held.shape[1] - 1) ** 0.5), SIDE // network.config.patch_size
    if side == grid:
        return
    own, others = held[:, :1], held[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = (grid + 0.1) / side
    others = functional.interpolate(others, scale_factor=(scale, scale), mode="bicubic", align_corners=False)
    placed = torch.cat([own, others.permute(0, 2, 3, 1).reshape(1, grid * grid, -1)], 1)
    embeddings.position_embeddings = torch.nn.Parameter(placed, requires_grad=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's progress bars and reports off the screen."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _not_installed() -> Refused:
    return Refused("DINOv2 features need the library transformers", "pip install 'gansmith[dinov2]'")


def _cannot_import(error: Exception) -> Refused:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return Refused(
        f"transformers, which DINOv2 features need, cannot be imported ({first_line(cause)})",
        "If it is about torchvision: install the one that belongs to this torch, or none.",
    )


def _missing(error: ImportError, library: str) -> bool:
    return isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == library
