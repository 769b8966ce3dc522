from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gansmith.data.pictures import (
    Decoder,
    Unreadable,
    decoder,
    named_as_picture,
    quietly,
    starts_as_picture,
    to_array,
)
from gansmith.errors import Refused
from gansmith.fields import Data

from .making import encoded, outcome, pixels


def file_of(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_a_picture_is_what_it_was(mode, channels):
    array = pixels(mode, 5, 7)
    found = Decoder()(encoded(array))
    assert found.channels == channels
    assert found.size == (5, 7)
    assert found.frames == 1
    wanted = array[None] if mode == "L" else array.transpose(2, 0, 1)
    assert np.array_equal(found.array, wanted)
    assert found.array.flags.c_contiguous


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP"])
def test_formats(kind):
    data = encoded(np.full((6, 5, 3), 128, dtype=np.uint8), kind)
    assert starts_as_picture(data[:16]) or kind == "PPM"
    found = Decoder(channels=3)(data)
    assert found.array.shape == (3, 6, 5)
    assert np.abs(found.array.astype(int) - 128).max() <= 2


def test_names():
    assert named_as_picture("a/b.PNG")
    assert named_as_picture("x.jpeg")
    assert not named_as_picture("png")
    assert not named_as_picture("a.txt")
    assert not starts_as_picture(b"")
    assert not starts_as_picture(b"RIFF\0\0\0\0WAVEfmt ")


def test_a_palette_counts_as_colour_and_its_key_as_alpha():
    paletted = Image.fromarray(pixels("RGB")).quantize(8)
    assert Decoder()(file_of(paletted)).channels == 3
    found = Decoder()(file_of(paletted, transparency=0))
    assert found.channels == 4
    assert set(np.unique(found.array[3]).tolist()) <= {0, 255}
    keyed = Image.fromarray(np.array([[0, 9], [9, 0]], dtype=np.uint8))
    found = Decoder()(file_of(keyed, transparency=9))
    assert found.channels == 2
    assert found.array[1].tolist() == [[255, 0], [0, 255]]


def test_sixteen_bits_are_scaled_not_cut():
    values = np.array([[0, 128, 129, 257], [65535, 65406, 32768, 300]], dtype=np.uint16)
    wanted = np.rint(values / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF", "PPM"):
        found = Decoder()(file_of(Image.fromarray(values), kind))
        assert found.channels == 1
        assert np.array_equal(found.array[0], wanted), kind


def test_one_bit_and_cmyk():
    bits = Image.fromarray(pixels("L") > 127)
    assert set(np.unique(Decoder()(file_of(bits)).array).tolist()) == {0, 255}
    assert Decoder()(file_of(Image.new("CMYK", (4, 4)), "JPEG")).array.shape == (3, 4, 4)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_values_without_a_range(mode):
    with pytest.raises(Unreadable, match="32-bit"):
        Decoder()(file_of(Image.new(mode, (3, 3)), "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(orientation):
    array = np.zeros((8, 16, 3), dtype=np.uint8)
    array[:4, :4] = 255  # the top left corner, as the sensor saw it
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = Decoder()(file_of(Image.fromarray(array), "PNG", exif=exif))
    assert found.size == ((8, 16) if orientation < 5 else (16, 8))
    bright = np.argwhere(found.array[0] == 255).mean(0) > np.array(found.size) / 2
    # Where that corner belongs, by the EXIF standard: (lower, further right).
    wanted = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    assert tuple(bright.astype(int)) == wanted


def test_animations_give_their_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "green")]
    found = Decoder(channels=3)(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert found.frames == 3
    assert found.array[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_unreadable(kind, part):
    data = encoded(pixels("RGB", 64, 64), kind)
    with quietly(), pytest.raises(Unreadable, match=r"is (empty|truncated|damaged|not a picture)"):
        Decoder()(data[: int(part * len(data))])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 100),
)
def test_any_damage_is_unreadable_or_read(kind, changes, cut):
    data = bytearray(encoded(pixels("RGB", 16, 16), kind))
    for where, value in changes:
        data[where % len(data)] = value
    with quietly():
        found = outcome(lambda: Decoder(size=(4, 4), channels=3)(bytes(data[: len(data) - cut])), Unreadable)
    if isinstance(found, Unreadable):
        assert str(found).startswith(("is ", "has "))
    else:
        assert found.array.shape == (3, 4, 4)


def test_a_bomb_is_not_set_off(monkeypatch):
    data = file_of(Image.new("1", (3000, 3000)))
    assert len(data) < 5000
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # an error of Pillow's, beyond twice this
    with quietly(), pytest.raises(Unreadable, match="pixels taken as safe"):
        Decoder()(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8_000_000)  # a warning of Pillow's
    with quietly(), pytest.raises(Unreadable, match="pixels taken as safe"):
        Decoder()(data)


def test_no_other_program_is_started():
    with pytest.raises(Unreadable, match="not a picture"):
        Decoder()(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")


@pytest.mark.parametrize("source", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_are_converted(source, channels):
    array = pixels(source)
    found = Decoder(channels=channels)(encoded(array)).array
    assert found.shape == (channels, 8, 8)
    if source in ("L", "RGB") and channels in (2, 4):
        assert (found[-1] == 255).all()


def test_the_background_goes_under_alpha():
    array = np.zeros((1, 3, 4), dtype=np.uint8)
    array[0, :, 0] = 200
    array[0, :, 3] = [0, 255, 128]
    found = Decoder(channels=3, background=(0, 0, 100))(encoded(array)).array
    assert found[:, 0, 0].tolist() == [0, 0, 100]
    assert found[:, 0, 1].tolist() == [200, 0, 0]
    assert np.abs(found[:, 0, 2].astype(int) - [100, 0, 50]).max() <= 1
    grey = Decoder(channels=1, background=(255, 255, 255))(encoded(np.zeros((2, 2, 2), dtype=np.uint8))).array
    assert (grey == 255).all()


def test_colour_is_weighted_by_alpha_when_resized():
    # Red, and transparent green: the green must not bleed in.
    array = np.zeros((8, 8, 4), dtype=np.uint8)
    array[:, :4] = (255, 0, 0, 255)
    array[:, 4:] = (0, 255, 0, 0)
    found = Decoder(size=(2, 2))(encoded(array)).array
    assert found[1].max() == 0


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("shape", [(40, 20), (20, 40), (7, 93), (1, 50), (16, 16)])
@pytest.mark.parametrize("size", [(16, 16), (8, 24)])
def test_every_fit_gives_the_size(fit, shape, size):
    found = Decoder(size=size, fit=fit)(encoded(pixels("RGB", *shape)))
    assert found.array.shape == (3, *size)
    assert found.size == shape


def test_what_each_fit_keeps():
    array = np.zeros((10, 30, 3), dtype=np.uint8)
    array[:, 10:20] = 255  # the middle third
    cropped = Decoder(size=(10, 10), fit="crop")(encoded(array)).array
    assert (cropped == 255).all()
    padded = Decoder(size=(30, 30), fit="pad", background=(9, 8, 7))(encoded(array)).array
    assert padded[:, 0, 0].tolist() == [9, 8, 7]
    assert (padded[:, 10:20, 10:20] == 255).all()
    stretched = Decoder(size=(30, 30), fit="stretch")(encoded(array)).array
    assert (stretched[:, :, 15] == 255).all()
    assert (stretched[:, :, 2] == 0).all()
    clear = Decoder(size=(30, 30), fit="pad", channels=4)(encoded(array)).array
    assert clear[3, 0, 0] == 0
    assert clear[3, 15, 15] == 255


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    found = Decoder(size=(8, 8))(encoded(stripes)).array
    assert np.abs(found[0, :, 1:-1].astype(int) - 128).max() <= 3


def test_decoded_pictures_are_fitted_alike():
    arrays = np.stack([pixels("RGB", 12, 9, seed) for seed in range(3)]).transpose(0, 3, 1, 2)
    decode = Decoder(size=(6, 6), channels=1)
    found = decode.refit(arrays)
    wanted = np.stack([decode(encoded(one.transpose(1, 2, 0))).array for one in arrays])
    assert np.array_equal(found, wanted)
    assert Decoder(size=(12, 9)).refit(arrays) is arrays
    grey = pixels("L")[None, None]
    assert np.array_equal(Decoder(channels=3).refit(grey), np.repeat(grey, 3, axis=1))


def test_the_options_of_a_recipe():
    made = decoder(Data(resolution=32, fit="pad", channels=3, background="#102030"))
    assert made == Decoder((32, 32), "pad", 3, (16, 32, 48))
    assert decoder(Data(resolution=(8, 4), background="red")).size == (8, 4)
    with pytest.raises(Refused, match="'whyte' is no colour"):
        decoder(Data(background="whyte"))
    with pytest.raises(Refused, match="out of range"):
        decoder(Data(resolution=(0, 4)))


def test_arrays_of_images():
    assert to_array(Image.new("L", (3, 2))).shape == (1, 2, 3)
    assert to_array(Image.new("RGBA", (3, 2))).shape == (4, 2, 3)
