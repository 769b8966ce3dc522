"""Tiles agree with the whole; channels, alpha and bits; folders; networks between two runs; published weights."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import gansmith
from gansmith.applications import upscaling
from gansmith.applications.photos import read
from gansmith.applications.upscaling import Upscaler, between, of_run, of_weights, targets, upscale
from gansmith.augmentations.resizing import resize
from gansmith.errors import Refused
from gansmith.networks import rrdb, srresnet

RECIPE = {
    "game": "superresolution", "generator": {"network": "srresnet", "scale": 2, "width": 4, "blocks": 1},
    "data": {"patch": 16}, "batch": 4, "images": 8, "snapshots": 1, "score": False, "compile": "off",
    "precision": "fp32",
}  # fmt: skip


def network(kind="light", scale=4, channels=3):
    torch.manual_seed(0)
    shape = (channels, 8 * scale, 8 * scale)
    made = {
        "light": lambda: srresnet.Generator(shape, scale, 6, 3, direct=True),
        "published": lambda: srresnet.Generator(shape, scale, 6, 2, norm=True, kernel=9, skip=False),
        "rrdb": lambda: rrdb.Generator(shape, scale, 6, 1, 4),
    }[kind]()
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.03 * torch.randn_like(p))
    return made


def upscaler(kind="light", scale=4, channels=3, **how):
    made = network(kind, scale, channels)
    return Upscaler(made, "runs/x", scale, channels, made.reach, **how)


def pixels(height=50, width=43, channels=3, deep=False, seed=0):
    high = 65536 if deep else 256
    return np.random.default_rng(seed).integers(0, high, (height, width, channels), np.uint16 if deep else np.uint8)


class Double(nn.Module):
    """A network in float64, where the order of a sum is lost in the rounding to levels."""

    def __init__(self, network):
        super().__init__()
        self.network = network.double()

    def forward(self, x):
        return self.network(x.double())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kind", ["light", "published", "rrdb"])
def test_tiles_are_the_whole_to_the_bit(kind, scale):
    made, x = Double(network(kind, scale)), pixels()
    wanted, reach = Upscaler(made, "x", scale, 3, tile=1000)(x), network(kind, scale).reach
    assert wanted.shape == (50 * scale, 43 * scale, 3)
    assert wanted.std() > 5
    for tile in (11, 32):
        assert np.array_equal(Upscaler(made, "x", scale, 3, tile=tile, overlap=reach)(x), wanted)
    # Not by luck: with less around it a tile is another one.
    small = Upscaler(made, "x", scale, 3, tile=11, overlap=1)(x)
    assert not np.array_equal(small, wanted)


@pytest.mark.parametrize("kind", ["light", "published", "rrdb"])
def test_in_float32_tiles_are_the_whole_but_for_the_last_level(kind):
    """A processor's convolution may add up in another order at another size; then a rounding may fall otherwise."""
    made, x = network(kind), pixels()
    wanted = Upscaler(made, "x", 4, 3, tile=1000)(x).astype(int)
    apart = np.abs(Upscaler(made, "x", 4, 3, tile=11, overlap=made.reach)(x) - wanted)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-3


def test_in_the_numbers_themselves_too():
    made = network().eval()
    x = torch.randn(1, 3, 50, 43).contiguous(memory_format=torch.channels_last)
    r = made.reach
    with torch.inference_mode():
        # Other layouts and sizes add up in another order: far less than a level apart.
        whole, part = made(x), made(x[:, :, 20 - r : 30 + r].contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(part[:, :, 4 * r : -4 * r], whole[:, :, 80:120], atol=2e-5, rtol=0)
        plain = made(x.contiguous(memory_format=torch.contiguous_format))
        torch.testing.assert_close(plain, whole, atol=2e-5, rtol=0)


def test_a_deep_network_reads_less_than_it_could_and_nobody_sees_it():
    made = network("rrdb")
    assert Upscaler(made, "x", 4, 3, 350).overlap == 32
    assert Upscaler(made, "x", 4, 3, made.reach).overlap == made.reach == 20
    x = pixels(90, 20)
    wanted = Upscaler(made, "x", 4, 3, tile=1000)(x).astype(int)
    assert np.abs(Upscaler(made, "x", 4, 3, tile=40, overlap=12)(x) - wanted).max() <= 1


def test_a_tile_is_as_large_as_memory_lets_it_be():
    made = {kind: network(kind, 4) for kind in ("light", "published", "rrdb")}
    assert [made[kind].breadth for kind in made] == [48, 96, 96]
    wide = rrdb.Generator((3, 32, 32), blocks=1)
    assert wide.breadth == 1024
    assert Upscaler(wide, "x", 4, 3, breadth=1024).tile == 250
    assert Upscaler(wide, "x", 4, 3).tile == 176
    assert Upscaler(made["light"], "x", 4, 3, breadth=48).tile == 768


def test_sixteen_bits_are_finer_than_eight():
    made, x = upscaler(), pixels()
    coarse, fine = made(x), made(x.astype(np.uint16) * 257)
    assert fine.dtype == np.uint16
    assert np.abs(fine / 257 - coarse).max() <= 0.51
    assert (fine % 257 != 0).mean() > 0.9


def test_grey_and_alpha():
    made, x = upscaler(), pixels(12, 10, 4)
    out = made(x)
    assert np.array_equal(out[:, :, :3], made(x[:, :, :3]))
    alpha = resize(torch.from_numpy(x[:, :, 3].copy())[None, None].float(), 48, 40)[0, 0].clamp(0, 255).round()
    assert np.abs(out[:, :, 3].astype(int) - alpha.numpy()).max() <= 1
    x = x // 4 + 96  # so that nothing is clipped
    grey = made(x[:, :, :1])
    assert grey.shape == (48, 40, 1)
    thrice = made(np.repeat(x[:, :, :1], 3, 2)).astype(float).mean(2, keepdims=True)
    assert np.abs(grey - thrice).max() <= 1.01
    assert np.array_equal(made(x[:, :, [0, 3]])[:, :, :1], grey)
    own = upscaler(channels=4)
    assert not np.array_equal(own(x)[:, :, 3], made(x)[:, :, 3])  # one that knows alpha makes it itself
    for channels, count, what in ((1, 3, "grey, and this one is RGB"), (4, 3, "RGB with alpha, and this one is RGB"),
                                  (2, 4, "grey with alpha, and this one is RGB with alpha")):  # fmt: skip
        with pytest.raises(Refused, match=f"runs/x was trained on pictures in {what}"):
            upscaler(channels=channels)(pixels(8, 8, count))


def test_the_ensemble_is_the_mean_over_eight_symmetries():
    made, x = upscaler(), pixels(9, 14)
    both = Upscaler(made.network, "x", 4, 3, ensemble=True)
    once = [both(x), both(x.transpose(1, 0, 2).copy()).transpose(1, 0, 2), both(x[::-1].copy())[::-1]]
    for other in once[1:]:
        assert np.abs(once[0].astype(int) - other).max() <= 1
    assert np.abs(made(x).astype(int) - made(x[::-1].copy())[::-1]).max() > 1


def test_between_two_networks():
    torch.manual_seed(0)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    wanted = 0.25 * first.weight + 0.75 * second.weight
    between(first, second, 0.75, "a and b")
    torch.testing.assert_close(second.weight, wanted)
    with pytest.raises(Refused, match="a and b: their networks differ"):
        between(nn.Linear(2, 2), second, 0.5, "a and b")
    with pytest.raises(Refused, match="differ"):
        between(None, second, 0.5, "a and b")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each stage."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "photos").mkdir()
    for i in range(2):
        smooth = Image.fromarray(pixels(6, 7, seed=i)).resize((35, 30), Image.Resampling.BICUBIC)
        smooth.save(folder / "photos" / f"{i}.png")
    from gansmith import recipe

    first = recipe.validate({"name": "first", **RECIPE}, "test")
    critic = {"discriminator": {"network": "vgg", "width": 4, "hidden": 4}, "loss": "relativistic-average"}
    second = recipe.validate({"name": "second", **RECIPE, **critic}, "test")
    gansmith.train(first, str(folder / "photos"), folder / "first", device="cpu")
    gansmith.train(second, str(folder / "photos"), folder / "second", start_from=folder / "first", device="cpu")
    return folder


def test_a_run_is_used(runs, tmp_path):
    made = of_run(runs / "second", device="cpu")
    assert (made.scale, made.channels) == (2, 3)
    done = gansmith.upscale(runs / "photos", runs / "second", tmp_path / "out", device="cpu")
    assert [b.name for _, b in done.made] == ["0.png", "1.png"]
    assert done.problems == ()
    assert done.megapixels == pytest.approx(2 * 60 * 70 / 1e6)
    assert np.array_equal(read(tmp_path / "out" / "0.png").pixels, made(read(runs / "photos" / "0.png").pixels))


def test_sharpness_lies_between_the_stages(runs):
    def weights(**how):
        return torch.cat([p.flatten() for p in of_run(runs / "second", device="cpu", **how).network.parameters()])

    first = torch.cat([p.flatten() for p in of_run(runs / "first", device="cpu").network.parameters()])
    second = weights()
    assert not torch.equal(first, second)
    torch.testing.assert_close(weights(sharpness=0.0), first)
    torch.testing.assert_close(weights(sharpness=1.0, psnr_run=runs / "first"), second)
    torch.testing.assert_close(weights(sharpness=0.3), 0.7 * first + 0.3 * second)
    with pytest.raises(Refused, match="does not say which run it began from"):
        of_run(runs / "first", sharpness=0.5, device="cpu")


def test_files_of_a_folder(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    Image.fromarray(pixels(9, 8)).save(tmp_path / "in" / "a.jpg")
    Image.fromarray(pixels(9, 8, 4)).save(tmp_path / "in" / "deep" / "b.webp")
    (tmp_path / "in" / "c.png").write_bytes(b"nothing")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    told = []
    done = upscale(tmp_path / "in", upscaler(scale=2), progress=lambda *at: told.append(at))
    assert [str(b.relative_to(tmp_path)) for _, b in done.made] == ["in-x2/a.jpg", "in-x2/deep/b.webp"]
    assert [(p.path, p.reason) for p in done.problems] == [
        (str(tmp_path / "in" / "c.png"), "is not a picture, or is damaged at its start")
    ]
    assert told == [(1, 3, "a.jpg"), (2, 3, "c.png"), (3, 3, "b.webp")]
    for _, made in done.made:
        with Image.open(made) as image:
            assert image.size == (16, 18)
            assert image.mode == ("RGBA" if made.suffix == ".webp" else "RGB")


def test_a_single_picture(tmp_path):
    source = tmp_path / "a.png"
    Image.fromarray(pixels(9, 8)).save(source)
    made = upscaler(scale=2)
    assert upscale(source, made).made[0][1] == tmp_path / "a-x2.png"
    assert upscale(source, made, tmp_path / "other.jpg").made[0][1].name == "other.jpg"
    with Image.open(tmp_path / "other.jpg") as image:
        assert image.format == "JPEG"
    for wrong, what in (((source, source), "is the source itself"), ((tmp_path / "none.png", None), "no such picture")):
        with pytest.raises(Refused, match=what):
            targets(*wrong, 2)
    source.write_bytes(b"")
    with pytest.raises(Refused, match=r"a\.png: is empty"):
        upscale(source, made)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="holds no pictures"):
        targets(tmp_path / "empty", None, 2)


def test_a_picture_is_written_band_by_band(tmp_path):
    made, rows = upscaler(scale=2, tile=8), []
    bands = made.bands
    made.bands = lambda x: (rows.append(len(b)) or b for b in bands(x))
    Image.fromarray(pixels(20, 9)).save(tmp_path / "a.png")
    upscale(tmp_path / "a.png", made)
    assert rows == [16, 16, 8]
    with Image.open(tmp_path / "a-x2.png") as image:
        assert np.array_equal(np.asarray(image), np.concatenate(list(bands(pixels(20, 9)))))


def test_published_weights(tmp_path, monkeypatch):
    mine = network("rrdb").eval()
    names = {"first": "conv_first", "middle": "conv_body", "ups.0": "conv_up1", "ups.1": "conv_up2", "wide": "conv_hr",
             "last": "conv_last"}  # fmt: skip
    held = {}
    for key, value in mine.state_dict().items():
        stem, _, kind = key.rpartition(".")
        if stem.startswith("blocks."):
            _, block, _, dense, _, conv = stem.split(".")
            stem = f"body.{block}.rdb{int(dense) + 1}.conv{int(conv) + 1}"
        held[f"{names.get(stem, stem)}.{kind}"] = value
    torch.save({"params_ema": held}, tmp_path / "w.pth")
    save_file(held, tmp_path / "w.safetensors")
    x = pixels(8, 9)
    with torch.inference_mode():  # which takes pictures in [0, 1]
        wanted = mine(torch.from_numpy(x).permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0) * 255
    for file in ("w.pth", "w.safetensors"):
        made = of_weights(tmp_path / file, device="cpu")
        assert (made.scale, made.channels, made.name) == (4, 3, file)
        assert np.abs(made(x).astype(float) - wanted.clamp(0, 255).numpy()).max() <= 0.51
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    with pytest.raises(Refused, match="others need the library spandrel"):
        of_weights(tmp_path / "other.pth", device="cpu")
    (tmp_path / "bad.pth").write_bytes(b"nothing")
    with pytest.raises(Refused, match="is no file of weights, or damaged"):
        of_weights(tmp_path / "bad.pth", device="cpu")
    with pytest.raises(Refused, match="cannot be read"):
        of_weights(tmp_path / "none.pth", device="cpu")


def test_a_run_of_another_kind_is_refused(monkeypatch):
    class Other:
        game = nn.Linear(1, 1)

    Other.game.use = None
    monkeypatch.setattr(upscaling, "load", lambda *a, **k: Other())
    with pytest.raises(Refused, match="was not trained to enlarge pictures"):
        of_run("runs/gan")
