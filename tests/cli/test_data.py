import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path):
    g = np.random.default_rng(0)
    for name in ("cats/1.png", "cats/2.png", "dogs/1.png"):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(g.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pets"


def test_a_good_folder(cli, pictures, tmp_path):
    code, out, err = cli("data", "pets")
    assert (code, err) == (0, "")
    for text in ("count     3", "3x8x8 (RGB)", "2 classes: cats (2), dogs (1)", "preview: pets-preview.png"):
        assert text in out
    with Image.open(tmp_path / "pets-preview.png") as picture:
        assert picture.mode == "RGB"


def test_bad_files_are_named(cli, pictures):
    (pictures / "dogs/2.png").write_bytes(b"")
    code, out, _ = cli("data", "pets", "--preview", "look.png")
    assert code == 1
    assert "1 file cannot be used:\n" in out
    assert "2.png: " in out
    assert "--skip-bad" in out
    assert "preview: look.png" in out


def test_what_cannot_be_trained_on_is_refused_and_shown_nevertheless(cli, pictures, tmp_path):
    Image.new("L", (8, 8)).save(pictures / "cats/grey.png")
    code, out, err = cli("data", "pets")
    assert code == 2
    assert "channels  3 (3), 1 (1)" in out
    assert err.startswith("gansmith: error: ")
    assert not (tmp_path / "pets-preview.png").exists()
    assert cli("data", "pets", "--channels", "3", "--no-preview")[0] == 0
    assert not (tmp_path / "pets-preview.png").exists()


def test_points_have_a_preview(cli, tmp_path):
    code, out, _ = cli("data", "ring")
    assert code == 0
    assert "modality  points" in out
    assert (tmp_path / "ring-preview.png").exists()
