"""Pictures read and written as they were: bits, alpha, profile, EXIF; against Pillow, and against a decoder by hand."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from gansmith.applications.photos import Photo, read, write
from gansmith.data.pictures import Unreadable

COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}


def deep_png(pixels, filters=(0,)):
    """A 16-bit PNG whose rows go through these filters in turn: 0 none, 1 left, 2 above, 4 Paeth."""
    height, width, channels = pixels.shape
    rows = np.ascontiguousarray(pixels.astype(">u2")).view(np.uint8).reshape(height, -1).astype(int)
    bpp, out = 2 * channels, b""
    for y in range(height):
        kind = filters[y % len(filters)]
        above = rows[y - 1] if y else np.zeros_like(rows[0])
        left, corner = (np.concatenate([np.zeros(bpp, int), row[:-bpp]]) for row in (rows[y], above))
        p = left + above - corner
        near = np.stack([abs(p - left), abs(p - above), abs(p - corner)]).argmin(0)
        paeth = np.choose(near, [left, above, corner])
        guess = {0: 0, 1: left, 2: above, 4: paeth}[kind]
        out += bytes([kind]) + ((rows[y] - guess) % 256).astype(np.uint8).tobytes()

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 16, COLOURS[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(out)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("filters", [(0,), (1, 2, 4)], ids=str)
def test_sixteen_bits_are_read_and_written(tmp_path, channels, filters):
    pixels = np.random.default_rng(0).integers(0, 65536, (7, 9, channels), dtype=np.uint16)
    (tmp_path / "x.png").write_bytes(deep_png(pixels, filters))
    photo = read(tmp_path / "x.png")
    assert photo.deep
    assert np.array_equal(photo.pixels, pixels)
    write(tmp_path / "y.png", photo, [pixels[:3], pixels[3:]], (7, 9))
    assert np.array_equal(read(tmp_path / "y.png").pixels, pixels)
    if channels == 1:  # which Pillow reads whole
        assert np.array_equal(np.asarray(Image.open(tmp_path / "y.png")), pixels[:, :, 0])


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
@pytest.mark.parametrize("kind", ["png", "tiff", "webp", "jpg", "gif", "bmp"])
def test_formats_and_modes(tmp_path, kind, mode):
    lossy = kind in ("jpg", "webp")
    if (kind in ("jpg", "bmp", "gif") and "A" in mode) or (lossy and mode == "P") or (kind == "gif" and mode == "RGB"):
        pytest.skip("Pillow writes no such thing")
    smooth = np.add.outer(np.arange(12), np.arange(10)).astype(np.uint8) * 9
    image = Image.fromarray(np.stack([smooth, smooth.T.copy().reshape(12, 10), smooth], 2)).convert(mode)
    image.save(tmp_path / f"x.{kind}")
    photo = read(tmp_path / f"x.{kind}")
    channels = {"L": 1, "1": 1, "LA": 2, "RGB": 3, "RGBA": 4, "P": 3}[mode]
    with Image.open(tmp_path / f"x.{kind}") as stored:
        assert photo.kind == stored.format
        if stored.mode == mode and mode not in ("P", "1"):
            assert photo.pixels.shape == (12, 10, channels)
            assert np.array_equal(photo.pixels.squeeze(), np.asarray(stored))
    write(tmp_path / f"y.{kind}", photo, [photo.pixels], (12, 10))
    again = read(tmp_path / f"y.{kind}")
    assert again.kind == photo.kind
    assert np.abs(again.pixels.astype(int).mean() - photo.pixels.astype(int).mean()) < 3


def test_profile_and_orientation_stay(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8))
    for kind in ("jpg", "png", "webp", "tiff"):
        image.save(tmp_path / f"x.{kind}", exif=exif, icc_profile=profile)
        photo = read(tmp_path / f"x.{kind}")
        # As stored, for who shows it turns it; but a TIFF file is turned by Pillow, and then says so no more.
        turned = kind == "tiff"
        assert photo.pixels.shape == ((9, 6, 3) if turned else (6, 9, 3))
        large = np.repeat(np.repeat(photo.pixels, 2, 0), 2, 1)
        write(tmp_path / f"y.{kind}", photo, [large], large.shape[:2])
        with Image.open(tmp_path / f"y.{kind}") as made:
            assert made.size == ((12, 18) if turned else (18, 12))
            assert made.getexif().get(0x0112, 1) == (1 if turned else 6)
            assert made.getexif()[0x010E] == "a description"
            assert made.info["icc_profile"] == profile


def test_a_clear_colour_becomes_alpha_and_cmyk_rgb(tmp_path):
    Image.fromarray(np.array([[0, 9]], np.uint8)).save(tmp_path / "x.png", transparency=9)
    assert read(tmp_path / "x.png").pixels.tolist() == [[[0, 255], [9, 0]]]
    Image.new("CMYK", (4, 4), (0, 0, 0, 0)).save(tmp_path / "x.jpg", icc_profile=b"theirs")
    photo = read(tmp_path / "x.jpg")
    assert photo.pixels.shape == (4, 4, 3)
    assert photo.pixels.min() > 250
    assert photo.icc is None


def test_what_cannot_be_read_is_said(tmp_path):
    held = io.BytesIO()
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(held, "PNG")
    cases = {
        "a.png": (b"", "is empty"),
        "b.png": (b"text", "is not a picture, or is damaged at its start"),
        "c.png": (held.getvalue()[:60], "is truncated|is damaged"),
        "d.txt": (b"text", "is not a picture"),
    }
    for name, (data, why) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(Unreadable, match=why):
            read(tmp_path / name)
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "e.tiff")
    with pytest.raises(Unreadable, match="of a kind that is not read"):
        read(tmp_path / "e.tiff")
    with pytest.raises(Unreadable, match="is no file"):
        read(tmp_path / "none.png")
    assert Photo(np.zeros((1, 1, 1), np.uint8)).deep is False
