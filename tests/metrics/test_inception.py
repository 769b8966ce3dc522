"""Inception features: the published file or none, and the numbers that torch-fidelity gives with the same weights."""

import builtins
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peers import forget

from gansmith.errors import Refused
from gansmith.metrics import inception
from gansmith.metrics.classifier import classifier_score
from gansmith.metrics.extractor import Extractor
from gansmith.metrics.frechet import frechet_distance
from gansmith.metrics.inception import FILE, SHA256, URL, InceptionExtractor, found
from gansmith.metrics.kernel import squared_mmd
from gansmith.metrics.neighbours import precision_recall_density_coverage

pytestmark = pytest.mark.usefixtures("peers")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("GANSMITH_INCEPTION", raising=False)
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def ours(peers, random_inception):
    file, checksum = random_inception
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "_admit", checksum)
        return InceptionExtractor(file)


def pictures(n, seed=0, channels=3, height=32, width=40, most=256):
    r = np.random.RandomState(seed)
    coarse = r.randint(most, size=(n, channels, height // 8, width // 8), dtype=np.uint8)
    fine = r.randint(20, size=(n, channels, height, width))
    return np.clip(coarse.repeat(8, 2).repeat(8, 3) + fine, 0, 255).astype(np.uint8)


def near(found, expected, share=5e-5):
    """Equal to a share of the features' own spread: the order of sums differs."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * np.std(expected))


# --- the numbers ------------------------------------------------------------------------------------


def test_features_and_logits_are_those_of_torch_fidelity(ours, random_inception):
    from torch_fidelity import FeatureExtractorInceptionV3

    theirs = FeatureExtractorInceptionV3(
        "theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=random_inception[0]
    )
    x = pictures(5)
    features, logits = ours.features_and_logits(x)
    assert (features.shape, features.dtype) == ((5, 2048), np.float32)
    assert (logits.shape, logits.dtype) == ((5, 1008), np.float32)
    assert features.std(0).mean() > 1e-3 * features.std()  # unlike images, unlike features
    expected = theirs(torch.from_numpy(x))
    near(features, expected[0].numpy())
    near(logits, expected[1].numpy())
    np.testing.assert_array_equal(ours.features(x), features)


class Images(torch.utils.data.Dataset):
    def __init__(self, array):
        self.array = torch.from_numpy(array)

    def __len__(self):
        return len(self.array)

    def __getitem__(self, i):
        return self.array[i]


@pytest.mark.slow
def test_scores_from_images_are_those_of_torch_fidelity(ours, random_inception):
    from torch_fidelity import calculate_metrics

    n = 9
    fake, real = pictures(n, 1), pictures(n, 2, most=220)
    theirs = calculate_metrics(
        input1=Images(fake), input2=Images(real), fid=True, kid=True, isc=True, prc=True, cuda=False, cache=False,
        feature_extractor="inception-v3-compat", feature_extractor_weights_path=random_inception[0],
        kid_subsets=1, kid_subset_size=n, isc_splits=3, prc_neighborhood=3, save_cpu_ram=True, verbose=False,
    )  # fmt: skip
    (x, logits), y = ours.features_and_logits(fake), ours.features(real)
    assert frechet_distance(x, y) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    order = np.random.RandomState(2020).permutation(n)
    assert theirs["inception_score_mean"] > 1.001
    assert classifier_score(logits[order], splits=3).mean == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    # Theirs computes the kernels in float32, which their size makes coarse.
    assert squared_mmd(x, y) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    found = precision_recall_density_coverage(y, x, k=3)
    assert 0 < found.precision < 1
    assert (found.precision, found.recall) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-6)


def test_grey_images_are_repeated_and_none_give_none(ours):
    grey = pictures(2, channels=1)
    near(ours.features(grey), ours.features(grey.repeat(3, 1)), 1e-6)
    assert ours.features(grey[:0]).shape == (0, 2048)
    assert [part.shape for part in ours.features_and_logits(grey[:0])] == [(0, 2048), (0, 1008)]


def test_float_images_are_not_rounded(ours):
    x = pictures(2)
    as_floats = torch.from_numpy(x).double()
    near(ours.embed(as_floats).numpy(), ours.features(x), 1e-6)
    apart = (ours.embed(as_floats + 0.4) - ours.embed(as_floats)).abs().max()
    assert apart > 1e-3 * ours.features(x).std()


def test_features_do_not_depend_on_company_or_route(ours):
    x = pictures(18)  # more than a batch
    x.flags.writeable = False
    features = ours.features(x)
    near(ours.features(x[::-1][:3]), features[::-1][:3])
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(ours.features(x[:1]), ours.features(x[:1]))
        near(ours.features(x[-1:]), features[-1:])


def test_refuses_what_are_no_such_images(ours):
    for shape in ((2, 4, 8, 8), (2, 2, 8, 8), (2, 8, 8), (2, 3, 0, 8)):
        with pytest.raises(Refused, match="1 or 3 channels"):
            ours.features(np.zeros(shape, np.uint8))
    with pytest.raises(Refused, match="uint8 images, 0 to 255, not float32"):
        ours.features_and_logits(np.zeros((2, 3, 8, 8), np.float32))
    with pytest.raises(Refused, match="1 or 3 channels"):
        ours.embed(torch.zeros(2, 4, 8, 8))


# --- what it says of itself, and leaves alone -------------------------------------------------------


def test_its_card_and_checksum(ours, random_inception):
    file, checksum = random_inception
    assert isinstance(ours, Extractor)
    assert (ours.name, ours.dims, ours.version) == ("inception", 2048, inception.VERSION)
    assert len(ours.checksum) == 64
    assert ours.checksum != checksum
    assert json.loads(json.dumps(ours.card)) == ours.card
    assert (ours.card["weights"], ours.card["weights_sha256"]) == (file.name, checksum)
    assert "TensorFlow 1" in ours.card["resize"]
    assert str(file.parent) not in json.dumps(ours.card)


def test_making_one_leaves_no_trace(admitted):
    state, route = torch.get_rng_state(), torch.get_float32_matmul_precision()
    extractor = InceptionExtractor(admitted)
    extractor.features(pictures(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_float32_matmul_precision() == route


# --- the file ---------------------------------------------------------------------------------------


def test_the_file_is_looked_for_in_order(tmp_path, own_cache, monkeypatch):
    assert found() is None
    own_cache.mkdir()
    for file in (own_cache / FILE, tmp_path / "named", tmp_path / "given"):
        file.touch()
    assert found() == own_cache / FILE
    monkeypatch.setenv("GANSMITH_INCEPTION", str(tmp_path / "named"))
    assert found() == tmp_path / "named"
    assert found(str(tmp_path / "given")) == tmp_path / "given"
    assert found(tmp_path / "none") is None
    monkeypatch.setenv("GANSMITH_INCEPTION", str(tmp_path / "none"))
    assert found() is None


def test_is_found_where_it_lies(random_inception, own_cache, admitted, monkeypatch):
    monkeypatch.setenv("GANSMITH_INCEPTION", str(admitted))
    named = InceptionExtractor()
    monkeypatch.delenv("GANSMITH_INCEPTION")
    own_cache.mkdir()
    os.link(admitted, own_cache / FILE)
    assert InceptionExtractor().checksum == named.checksum


def test_a_missing_file_is_told_with_all_that_helps(tmp_path, own_cache, monkeypatch):
    with pytest.raises(Refused) as told:
        InceptionExtractor()
    for part in (FILE, URL, SHA256, "95,628,359 bytes", str(own_cache / FILE), "GANSMITH_INCEPTION"):
        assert part in str(told.value)
    assert len(str(told.value).splitlines()) == 2
    with pytest.raises(Refused, match="no such file, as asked"):
        InceptionExtractor(tmp_path / "none", download=True)
    monkeypatch.setenv("GANSMITH_INCEPTION", str(tmp_path / "none"))
    with pytest.raises(Refused, match="which GANSMITH_INCEPTION names"):
        InceptionExtractor(download=True)


def test_another_file_is_refused_before_it_is_loaded(random_inception, monkeypatch):
    file, checksum = random_inception
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("loaded"))
    with pytest.raises(Refused, match=f"not Inception's published weights.*sha256 {checksum}") as told:
        InceptionExtractor(file)
    assert SHA256 in str(told.value)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_admitted_and_damaged(tmp_path, monkeypatch, content):
    file = tmp_path / "weights.pth"
    if content is None:
        torch.save({"fc.weight": torch.zeros(3)}, file)
    else:
        file.write_bytes(content)
    monkeypatch.setattr(inception, "_admit", inception.sum_of(file))
    with pytest.raises(Refused, match=r"cannot be loaded|not the weights of this network"):
        InceptionExtractor(file)


def test_what_would_run_code_is_not_loaded(tmp_path, monkeypatch):
    class Runs:
        def __reduce__(self):
            return builtins.open, (str(tmp_path / "ran"), "w")

    file = tmp_path / "weights.pth"
    torch.save({"fc.weight": Runs()}, file)
    monkeypatch.setattr(inception, "_admit", inception.sum_of(file))
    with pytest.raises(Refused, match="cannot be loaded"):
        InceptionExtractor(file)
    assert not (tmp_path / "ran").exists()


def test_a_file_is_summed_once_until_it_changes(tmp_path, monkeypatch):
    file, sums = tmp_path / "file", []
    real = inception.hashlib.sha256
    monkeypatch.setattr(inception.hashlib, "sha256", lambda data: sums.append(len(data)) or real(data))
    file.write_bytes(b"one")
    first = inception.sum_of(file, b"one")
    assert inception.sum_of(file, b"one") == inception.sum_of(file) == first == real(b"one").hexdigest()
    assert sums == [3]
    file.write_bytes(b"other")
    assert inception.sum_of(file, b"other") == real(b"other").hexdigest()
    file.write_bytes(b"by its own bytes")
    assert inception.sum_of(file) == real(b"by its own bytes").hexdigest()


def test_a_download_is_checked_and_whole_or_not_at_all(tmp_path, own_cache, monkeypatch):
    published = tmp_path / "published"
    published.write_bytes(b"weights")
    monkeypatch.setattr(inception, "URL", published.as_uri())
    with pytest.raises(Refused, match="wrong checksum"):
        InceptionExtractor(download=True)
    monkeypatch.setattr(inception, "SIZE", 3)
    with pytest.raises(Refused, match="more came"):
        InceptionExtractor(download=True)
    assert list(own_cache.iterdir()) == []
    monkeypatch.setattr(inception, "SIZE", 7)
    monkeypatch.setattr(inception, "_admit", inception.sum_of(published))
    with pytest.raises(Refused, match="cannot be loaded"):  # it came, was right, and holds no weights
        InceptionExtractor(download=True)
    assert [file.name for file in own_cache.iterdir()] == [FILE]
    published.unlink()
    assert found() == own_cache / FILE
    (own_cache / FILE).unlink()
    with pytest.raises(Refused, match="cannot be downloaded") as told:
        InceptionExtractor(download=True)
    assert str(own_cache / FILE) in str(told.value)


# --- the library ------------------------------------------------------------------------------------


def test_without_the_extra(admitted, monkeypatch):
    forget(monkeypatch, "torch_fidelity")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(Refused, match=r"torch-fidelity\npip install 'gansmith\[fid\]'"):
        InceptionExtractor(admitted)


@pytest.mark.parametrize("code", ["raise RuntimeError('operator torchvision::nms is not there')", "import nonesuch"])
def test_with_a_library_that_cannot_be_imported(admitted, tmp_path, monkeypatch, code):
    forget(monkeypatch, "torch_fidelity")
    (tmp_path / "torch_fidelity").mkdir()
    (tmp_path / "torch_fidelity" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Refused, match=r"cannot be imported \(.*(nms is not there|nonesuch)"):
        InceptionExtractor(admitted)


# --- the published weights --------------------------------------------------------------------------


@pytest.mark.weights
def test_published_weights_give_published_numbers(monkeypatch):
    """The first 5,000 images of each split of CIFAR-10, as torch-fidelity measures them.

    Assumed of these figures, since they came without: train was the samples and test the reference; the Inception
    Score is the train images', in ten splits of torch-fidelity's shuffled order (seed 2020); KID is over its
    default of 100 subsets of 1,000, drawn as it draws them, with the same seed.
    """
    from gansmith.data.cifar import read_cifar

    monkeypatch.undo()  # the user's own cache and variable
    if found() is None:
        pytest.skip(f"{FILE} is not on this machine")
    root = os.environ.get("GANSMITH_DATA")
    folder = next((file.parent for file in sorted(Path(root).rglob("test_batch*"))), None) if root else None
    if folder is None:
        pytest.skip("GANSMITH_DATA names no folder that holds CIFAR-10")
    train, test = (read_cifar(folder, split).array[:5000] for split in ("train", "test"))
    if min(len(train), len(test)) < 5000:
        pytest.skip(f"{folder.name} holds {len(train):,} and {len(test):,} images; the test needs 5,000 of each split")
    extractor = InceptionExtractor()
    (x, logits), y = extractor.features_and_logits(train), extractor.features(test)
    assert frechet_distance(x, y) == pytest.approx(10.32333, abs=2e-4)
    order = np.random.RandomState(2020).permutation(5000)
    assert classifier_score(logits[order]).mean == pytest.approx(10.75051, abs=2e-4)
    draws = np.random.RandomState(2020)
    picked = [[draws.choice(5000, 1000, replace=False) for _ in range(2)] for _ in range(100)]
    kid = np.mean([squared_mmd(x[one], y[other]) for one, other in picked])
    assert kid == pytest.approx(-2.907863e-05, abs=1e-6)
