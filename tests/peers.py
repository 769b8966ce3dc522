"""What the tests need of other people's libraries: that they can be imported, and weights to try them with."""

import hashlib
import sys
from unittest import mock

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

_KEPT = []  # a torch.library.Library takes its operators with it when it goes


def declare_torchvision():
    """Let torchvision be imported beside a torch that its own operators were not built for.

    torch-fidelity, torchmetrics and transformers import it, though none of its operators is used here. The wheel
    that an index offers beside a CPU build of torch may be built for CUDA: its operators then do not load, and the
    import fails on their missing schemas. Declared without a kernel they let it pass, and cannot be called.
    """
    if "torchvision" in sys.modules:
        return
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [each for each in sys.modules if each.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in SCHEMAS:
            library.define(schema)
        _KEPT.append(library)
        import torchvision  # noqa: F401


def write_random_inception(path, seed=0):
    """Write weights of Inception's shapes, drawn at random so that activations keep their size; gives their sha256."""
    declare_torchvision()
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    with (
        torch.random.fork_rng(),
        mock.patch.object(theirs, "load_state_dict_from_url", return_value={}),
        mock.patch.object(theirs.FeatureExtractorInceptionV3, "load_state_dict"),
    ):
        weights = theirs.FeatureExtractorInceptionV3("random", ["2048"], verbose=False).state_dict()
    draws = torch.Generator().manual_seed(seed)
    for name, tensor in weights.items():
        if tensor.ndim == 4:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=draws)
        elif name == "fc.weight" or name.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.1, generator=draws)
        elif name.endswith(("running_var", "bn.weight")):
            tensor.uniform_(0.8, 1.25, generator=draws)
    torch.save(weights, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)
"""Channels of its convolutions, and poolings, as Simonyan and Zisserman's table has them."""


def random_vgg16(seed=0):
    """Weights of VGG-16's convolutions by torchvision's names, drawn at random so that activations keep their size."""
    draws, weights, inside, at = torch.Generator().manual_seed(seed), {}, 3, 0
    for width in VGG16:
        if width != "M":
            deviation = (2 / (9 * inside)) ** 0.5
            weights[f"features.{at}.weight"] = torch.empty(width, inside, 3, 3).normal_(0, deviation, generator=draws)
            weights[f"features.{at}.bias"] = torch.empty(width).normal_(0, 0.1, generator=draws)
            inside = width
        at += 1 if width == "M" else 2  # a ReLU has a number too
    return weights


def random_lpips(seed=0):
    """Weights of LPIPS's channels by its authors' names, a third of them zero, as most of the published ones are."""
    draws = torch.Generator().manual_seed(seed)
    widths = [(i, width) for i, width in enumerate((64, 128, 256, 512, 512))]
    drawn = {f"lin{i}.model.1.weight": torch.rand(1, width, 1, 1, generator=draws) for i, width in widths}
    return {name: (tensor - 1 / 3).clamp_min(0) for name, tensor in drawn.items()}


def forget(monkeypatch, library):
    """Have a library imported anew when it is next asked for."""
    for name in [each for each in sys.modules if each.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
