"""LPIPS against its definition in float64, and the libraries that the field takes it from; and the files it reads."""

import builtins
import json
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import peers
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from gansmith.data.dataset import Dataset
from gansmith.data.download import Source
from gansmith.errors import Refused
from gansmith.metrics import lpips
from gansmith.metrics.extractor import Extractor, TellsApart
from gansmith.metrics.lpips import FILES, LINEAR, LpipsExtractor, found, lpips_distance, lpips_diversity
from gansmith.metrics.measure import Materials, Side, jackknife, measures
from gansmith.metrics.score import Scorer


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("GANSMITH_LPIPS", raising=False)
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def ours(random_lpips):
    return LpipsExtractor(random_lpips)


def pictures(n, seed=0, channels=3, height=16, width=24):
    r = np.random.RandomState(seed)
    coarse = r.randint(200, size=(n, channels, height // 8, width // 8)).repeat(8, 2).repeat(8, 3)
    return np.clip(coarse + r.randint(60, size=(n, channels, height, width)), 0, 255).astype(np.uint8)


def features(x, weights):
    """Of each layer, the channels scaled to unit length, in float64: Zhang et al.'s Figure 2, from the table of VGG."""
    x = torch.as_tensor(x).double().expand(-1, 3, -1, -1) / 255 * 2 - 1
    shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]], dtype=torch.float64).view(2, 3, 1, 1)
    x, at, out = (x - shift) / scale, 0, []
    for width in (*peers.VGG16, "M"):
        if width == "M":
            out.append(x / x.square().sum(1, keepdim=True).sqrt())
            x, at = F.max_pool2d(x, 2) if len(out) < 5 else x, at + 1
        else:
            x = F.conv2d(x, *(weights[f"features.{at}.{part}"].double() for part in ("weight", "bias")), padding=1)
            x, at = F.relu(x), at + 2
    return out


def by_definition(x, y, weights):
    total = 0
    for i, (f, g) in enumerate(zip(features(x, weights), features(y, weights), strict=True)):
        per_place = torch.einsum("k,nkhw->nhw", weights[f"lin{i}.model.1.weight"].double().flatten(), (f - g) ** 2)
        total = total + per_place.mean((1, 2))
    return total


@pytest.fixture(scope="module")
def weights():
    return {**peers.random_vgg16(), **peers.random_lpips()}


# --- the numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 16, 24), (1, 40, 16)])
def test_the_distance_is_that_of_the_definition(ours, weights, channels, height, width):
    x, y = (pictures(3, seed, channels, height, width) for seed in (0, 1))
    expected = by_definition(x, y, weights)
    assert expected.min() > 0.01
    found = lpips_distance(x, y, ours)
    assert (found.dtype, found.shape) == (torch.float64, (3,))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_network_agrees_in_float64(ours, weights):
    network = lpips.Lpips().double()
    network.load_state_dict(ours.network.state_dict())
    x = torch.from_numpy(pictures(2)).double()
    for (mine, _), theirs in zip(network(x), features(x, weights), strict=True):
        # The authors' code adds 1e-10 to the norm.
        np.testing.assert_allclose(mine.detach(), theirs, atol=1e-9)


def test_the_features_distances_are_it(ours, weights):
    x, y = pictures(3), pictures(3, 1)
    one, other = ours.features(x), ours.features(y)
    assert one.dtype == np.float32
    assert one.shape == (3, lpips.length((16, 24))) == (3, 384 * 64 + 96 * 128 + 24 * 256 + 6 * 512 + 1 * 512)
    squares = ((one - other).astype(np.float64) ** 2).sum(1)
    np.testing.assert_allclose(squares, lpips_distance(x, y, ours), rtol=1e-5)
    share = [weights[f"lin{i}.model.1.weight"].double().view(1, -1, 1, 1) for i in range(5)]
    own = [(f * (w / f[0, 0].numel()).sqrt()).flatten(1) for f, w in zip(features(x, weights), share, strict=True)]
    np.testing.assert_allclose(one, torch.cat(own, 1), atol=1e-5)
    assert ours.features(x[:0]).shape == (0, one.shape[1])


def test_it_is_zero_symmetric_and_its_root_a_metric(ours):
    x, y, z = pictures(4), pictures(4, 1), pictures(4, 2)
    assert lpips_distance(x, x, ours).tolist() == [0, 0, 0, 0]
    assert torch.equal(lpips_distance(x, y, ours), lpips_distance(y, x, ours))
    roots = [lpips_distance(a, b, ours).sqrt() for a, b in ((x, z), (x, y), (y, z))]
    assert (roots[0] <= roots[1] + roots[2]).all()
    little = lpips_distance(x, np.clip(x.astype(int) + 3, 0, 255).astype(np.uint8), ours)
    assert (little < lpips_distance(x, y, ours)).all()


def test_float_images_are_not_rounded_and_grey_is_repeated(ours):
    x, y = torch.from_numpy(pictures(2)), torch.from_numpy(pictures(2, 1))
    np.testing.assert_allclose(lpips_distance(x.double(), y.half(), ours), lpips_distance(x, y, ours), rtol=1e-6)
    assert (lpips_distance(x.double() / 2 + 0.4, x.double() / 2, ours) > 1e-7).all()
    grey = pictures(2, channels=1)
    other = grey[::-1].copy()
    np.testing.assert_allclose(
        lpips_distance(grey, other, ours), lpips_distance(grey.repeat(3, 1), other.repeat(3, 1), ours), rtol=1e-5
    )


def test_distances_do_not_depend_on_company_or_route(ours, monkeypatch):
    x, y = pictures(5), pictures(5, 1)
    x.flags.writeable = False
    whole = lpips_distance(x, y, ours)
    monkeypatch.setattr(lpips, "_batch", lambda shape: 2)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_allclose(lpips_distance(x, y, ours), whole, rtol=1e-5)


def test_refuses_what_are_no_such_images(ours):
    with pytest.raises(Refused, match=r"of one shape, not \[2, 3, 16, 24\] and \[1, 3, 16, 24\]"):
        lpips_distance(pictures(2), pictures(1), ours)
    with pytest.raises(Refused, match="1 or 3 channels"):
        lpips_distance(pictures(2, channels=4), pictures(2, channels=4), ours)
    with pytest.raises(Refused, match="16 pixels a side or more, not 8"):
        lpips_distance(pictures(2, height=8), pictures(2, height=8), ours)
    with pytest.raises(Refused, match="need uint8 images"):
        ours.features(np.zeros((2, 3, 16, 16)))


# --- the field's libraries --------------------------------------------------------------------------


def vgg_of_torchvision(weights):
    """Its layers, filled."""
    peers.declare_torchvision()
    from torchvision.models import vgg

    layers = torch.nn.Module()
    with torch.device("meta"):
        layers.features = vgg.make_layers(vgg.cfgs["D"])
    layers.load_state_dict({name: each for name, each in weights.items() if name.startswith("features")}, assign=True)
    return layers.features


def test_as_torch_fidelity(ours, weights):
    vgg = vgg_of_torchvision(weights)
    from torch_fidelity import sample_similarity_lpips as theirs

    linear = {name: each for name, each in weights.items() if name.startswith("lin")}
    with (
        mock.patch.object(theirs, "load_state_dict_from_url", return_value=linear),
        mock.patch.object(theirs, "torchvision_load_pretrained_vgg16", return_value=SimpleNamespace(features=vgg)),
    ):
        distance = theirs.SampleSimilarityLPIPS("lpips")
    x, y = (torch.from_numpy(pictures(4, seed, height=32, width=32)) for seed in (0, 1))
    np.testing.assert_allclose(lpips_distance(x, y, ours), distance(x, y).detach().flatten(), rtol=1e-4)


def test_as_torchmetrics_with_the_published_weights_of_channels(weights, tmp_path):
    vgg = vgg_of_torchvision(weights)
    from torchmetrics.functional.image import lpips as theirs

    published = Path(theirs.__file__).parent / "lpips_models" / "vgg.pth"
    data = published.read_bytes()
    (tmp_path / FILES[1]).write_bytes(data)
    torch.save(peers.random_vgg16(), tmp_path / FILES[0])
    extractor = LpipsExtractor(tmp_path)
    assert (len(data), extractor.card["weights_sha256"]["vgg.pth"]) == (LINEAR.size, LINEAR.checksum)
    assert not extractor.card["weights_published"]  # the network's are not
    with mock.patch.object(theirs, "_get_tv_model_features", return_value=vgg):
        distance = theirs._LPIPS(net="vgg", pnet_rand=True).double()
    x, y = pictures(4, height=32, width=32), pictures(4, 1, height=32, width=32)
    # Theirs adds 1e-8 under the root, which only features near zero feel.
    expected = distance(*(torch.from_numpy(each).double() / 127.5 - 1 for each in (x, y)))
    np.testing.assert_allclose(lpips_distance(x, y, extractor), expected.detach().flatten(), rtol=1e-5)


# --- as a measure -----------------------------------------------------------------------------------


def test_diversity_is_the_mean_over_all_pairs_and_its_error_that_of_leaving_out_tenths(ours):
    x = pictures(23)
    found = lpips_diversity(x, ours, seed=4)
    first, second = np.triu_indices(23, 1)
    distance = np.zeros((23, 23))
    distance[first, second] = lpips_distance(x[first], x[second], ours)
    assert found.distance == pytest.approx(distance[first, second].mean(), rel=1e-5)
    assert found.images == 23

    def mean(rows):
        kept = rows[:, 0].astype(int)
        return (distance + distance.T)[np.ix_(kept, kept)].sum() / (len(kept) * (len(kept) - 1))

    rows = np.arange(23, dtype=np.float32)[:, None]
    assert found.error == pytest.approx(jackknife(mean, rows, seed=4), rel=1e-3)


def test_diversity_of_one_image_is_nothing_and_of_many_is_of_some(ours):
    assert lpips_diversity(pictures(1).repeat(20, 0), ours).distance == pytest.approx(0, abs=1e-9)
    x = pictures(40)
    found = lpips_diversity(x, ours, most=20, seed=1)
    assert found.images == 20
    assert found == lpips_diversity(x, ours, most=20, seed=1) != lpips_diversity(x, ours, most=20, seed=2)
    assert abs(found.distance - lpips_diversity(x, ours).distance) < 4 * found.error
    with pytest.raises(Refused, match="20 images or more, not 19"):
        lpips_diversity(x[:19], ours)


def test_path_length_by_it_is_that_of_the_definition(ours, weights, monkeypatch):
    from gansmith.metrics import path

    base, slope = (torch.from_numpy(pictures(30, seed)).double() for seed in (5, 6))

    def walk(n, epsilon, seed):
        return base[:n], base[:n] + epsilon * slope

    monkeypatch.setattr(path, "PATHS", 30)
    side = Side(np.zeros((2, 0), np.float32))
    told = measures()["ppl"].compute(Materials(side, side, 0, ours, walk))[""]
    lengths = (by_definition(base, base + 1e-4 * slope, weights) / 1e-8).numpy()
    low, high = np.quantile(lengths, (0.01, 0.99))
    expected = lengths[(lengths >= low) & (lengths <= high)]
    # In float32, of steps a ten-thousandth as large as the images.
    assert told.value == pytest.approx(expected.mean(), rel=1e-3)


def dataset(count, seed=0, **more):
    array = pictures(count, seed, width=16)
    return Dataset("toy", "image", (3, 16, 16), count, array=array, fingerprint=f"{seed}", **more)


def test_a_scorer_makes_no_features_for_it(random_lpips, ours, monkeypatch):
    monkeypatch.setattr(LpipsExtractor, "features", None)
    train, test = dataset(40), dataset(30, 1, split="test")
    scorer = Scorer(train, test, metrics=["lpips", "ppl-lpips", "fd-pixels"], weights={"lpips": str(random_lpips)})
    fakes = pictures(30, 2, width=16)

    def walk(n, epsilon, seed):
        one = torch.from_numpy(pictures(n, seed, width=16)).double()
        return one, one * (1 - epsilon)

    with mock.patch("gansmith.metrics.path.PATHS", 20):
        scores = {each.name: each for each in scorer.evaluate(lambda n, seed: fakes[:n], path=walk)}
    assert list(scores) == ["lpips", "ppl-lpips", "fd-pixels"]
    assert scores["lpips"].value == pytest.approx(lpips_diversity(fakes, ours).distance, rel=1e-6)
    assert scores["lpips"].floor == pytest.approx(lpips_diversity(test.array, ours).distance, rel=1e-6)
    card = scores["lpips"].card
    assert (card["extractor"], card["better"], card["leaning"], card["images_at_most"]) == (
        "lpips",
        "real",
        "higher",
        1000,
    )
    assert card["floor_is"] == "measured: 30 reference examples"
    assert (card["extractor_weights_published"], card["resize"]) == (False, "none")
    assert scores["ppl-lpips"].card["extractor_checksum"] == ours.checksum
    assert scorer.extractor.name == "pixels"  # for what wants features to keep
    assert scorer.features_of(train, np.arange(3)).shape == (3, scorer.extractor.dims)
    with pytest.raises(Refused, match=r"these images are \(3, 24, 16\)"):
        scorer.score(lambda n, seed: pictures(n, height=24, width=16))


def test_what_goes_with_it_and_what_does_not(random_lpips):
    for name, says in [
        ("fd-lpips", "gives no features for fd\nIt serves lpips and ppl-lpips"),
        ("lpips-pixels", "lpips is taken with lpips alone, and not with pixels"),
        ("lpips", "LPIPS needs two files"),
    ]:
        with pytest.raises(Refused, match=says):
            Scorer(dataset(40), metrics=[name])
    small = Dataset("toy", "image", (3, 8, 16), 40, array=pictures(40, height=8, width=16))
    for name in ("lpips", "ppl-lpips"):
        with pytest.raises(Refused, match="16 pixels a side or more, not 8"):
            Scorer(small, metrics=[name], weights={"lpips": str(random_lpips)})
    with pytest.raises(Refused, match="its own weights alone"):
        measures()["lpips"].compute(Materials(Side(np.zeros((2, 0))), Side(np.zeros((2, 0)), images=pictures(2))))


# --- what it says of itself -------------------------------------------------------------------------


def test_its_card_and_checksum(ours, random_lpips):
    assert isinstance(ours, Extractor)
    assert isinstance(ours, TellsApart)
    assert (ours.name, ours.dims, ours.version, len(ours.checksum)) == ("lpips", 1472, lpips.VERSION, 64)
    assert json.loads(json.dumps(ours.card)) == ours.card
    assert set(ours.card["weights_sha256"]) == set(FILES)
    assert str(random_lpips) not in json.dumps(ours.card)


def test_one_file_of_both_gives_the_same(ours, weights, tmp_path):
    save_file(weights, tmp_path / "both.safetensors")
    one = LpipsExtractor(tmp_path / "both.safetensors")
    assert one.checksum == ours.checksum
    assert list(one.card["weights_sha256"]) == ["both.safetensors"]
    # As the authors' own module is saved whole, in which the weights of channels come twice.
    whole = {f"lins.{name[3]}.{name[5:]}": each for name, each in weights.items() if name.startswith("lin")}
    for name, each in weights.items():
        at = name.split(".")[1]
        whole[name if name.startswith("lin") else name.replace("features.", f"net.slice{1 + (int(at) > 3)}.")] = each
    torch.save({**whole, "scaling_layer.shift": torch.zeros(1, 3, 1, 1)}, tmp_path / "whole.pth")
    assert LpipsExtractor(tmp_path / "whole.pth").checksum == ours.checksum


def test_making_one_leaves_no_trace(random_lpips):
    state = torch.get_rng_state()
    LpipsExtractor(random_lpips).features(pictures(1))
    assert torch.equal(torch.get_rng_state(), state)


# --- the files --------------------------------------------------------------------------------------


def test_the_files_are_looked_for_in_order(tmp_path, own_cache, monkeypatch):
    assert found() is None
    for folder in (own_cache / "lpips", tmp_path / "named"):
        folder.mkdir(parents=True)
        for name in FILES:
            (folder / name).touch()
    assert found() == own_cache / "lpips"
    monkeypatch.setenv("GANSMITH_LPIPS", str(tmp_path / "named"))
    assert found() == tmp_path / "named"
    assert found(tmp_path / "named" / FILES[0]) == tmp_path / "named" / FILES[0]
    (tmp_path / "named" / FILES[1]).rename(tmp_path / "named" / lpips.ALSO)
    assert found() == tmp_path / "named"
    (tmp_path / "named" / FILES[0]).unlink()
    assert found() is None


def test_missing_files_are_told_with_all_that_helps(tmp_path, own_cache, monkeypatch):
    with pytest.raises(Refused) as told:
        LpipsExtractor()
    for part in (*FILES, lpips.VGG.url, LINEAR.url, "553,433,881 bytes", str(own_cache / "lpips"), "GANSMITH_LPIPS"):
        assert part in str(told.value)
    assert len(str(told.value).splitlines()) == 2
    (tmp_path / FILES[0]).touch()
    with pytest.raises(Refused, match=r"does not hold vgg\.pth\n"):
        LpipsExtractor(tmp_path)
    with pytest.raises(Refused, match="no such file or folder, as asked"):
        LpipsExtractor(tmp_path / "none", download=True)
    monkeypatch.setenv("GANSMITH_LPIPS", str(tmp_path / "none"))
    with pytest.raises(Refused, match="which GANSMITH_LPIPS names"):
        LpipsExtractor(download=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"features.28.bias": None}, r"lacks 1 of the weights of LPIPS on VGG-16, features\.28\.bias among them"),
        ({"lin1.model.1.weight": torch.ones(1, 192, 1, 1)}, r"\[1, 192, 1, 1\] of float32, but \[1, 128, 1, 1\] of"),
        ({"features.2.bias": torch.ones(64).long()}, r"features\.2\.bias is \[64\] of int64, but \[64\] of floats"),
        ({"features.0.bias": torch.full((64,), torch.nan)}, r"features\.0\.bias is not finite\n"),
        ({"lin0.model.1.weight": -torch.ones(1, 64, 1, 1)}, r"lin0.* is not finite, or negative"),
    ],
)
def test_wrong_weights(weights, tmp_path, change, says):
    held = {name: each for name, each in {**weights, **change}.items() if each is not None}
    save_file(held, tmp_path / "x.safetensors")
    with pytest.raises(Refused, match=says) as told:
        LpipsExtractor(tmp_path / "x.safetensors")
    assert len(str(told.value).splitlines()) == 2


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_damaged_files(tmp_path, name):
    for content in (b"", b"no archive"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Refused, match="cannot be loaded"):
            LpipsExtractor(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(Refused, match="lacks 31 of the weights"):
        LpipsExtractor(tmp_path / "list.pth")


def test_what_would_run_code_is_not_loaded(tmp_path):
    class Runs:
        def __reduce__(self):
            return builtins.open, (str(tmp_path / "ran"), "w")

    torch.save({"features.0.weight": Runs()}, tmp_path / "x.pth")
    with pytest.raises(Refused, match="cannot be loaded"):
        LpipsExtractor(tmp_path / "x.pth")
    assert not (tmp_path / "ran").exists()


def test_a_download_is_checked(random_lpips, ours, own_cache, monkeypatch):
    for name, file in zip(("VGG", "LINEAR"), FILES, strict=True):
        source = random_lpips / file
        size = source.stat().st_size
        monkeypatch.setattr(lpips, name, Source(source.as_uri(), ours.card["weights_sha256"][file], size))
    got = LpipsExtractor(download=True)
    assert got.checksum == ours.checksum
    assert got.card["weights_published"]  # as if they were
    assert sorted(file.name for file in (own_cache / "lpips").iterdir()) == sorted(FILES)
    (own_cache / "lpips" / FILES[1]).unlink()
    monkeypatch.setattr(lpips, "LINEAR", Source((random_lpips / FILES[1]).as_uri(), "0" * 64, 1 << 20))
    with pytest.raises(Refused, match="wrong checksum") as told:
        LpipsExtractor(download=True)
    assert "GANSMITH_LPIPS" in str(told.value)
