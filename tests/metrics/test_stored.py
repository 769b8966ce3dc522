"""The metrics' cache: kept, keyed, and never in the way."""

import torch

from gansmith.metrics import stored


def test_keeps_by_key(tmp_path, monkeypatch):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    file = stored.file_of("kind", ["a", 1])
    assert file != stored.file_of("kind", ["a", 2])
    assert stored.read(file) is None
    stored.write(file, {"x": torch.arange(3.0).double()}, {"floor": 1 / 3})
    tensors, rest = stored.read(file)
    assert torch.equal(tensors["x"], torch.arange(3.0).double())
    assert rest == {"floor": 1 / 3}


def test_a_damaged_file_is_as_none(tmp_path):
    file = tmp_path / "x.safetensors"
    stored.write(file, {"x": torch.zeros(3)}, {})
    file.write_bytes(file.read_bytes()[:20])
    assert stored.read(file) is None
    file.write_bytes(b"")
    assert stored.read(file) is None


def test_no_file_and_no_folder(tmp_path):
    assert stored.read(None) is None
    stored.write(None, {}, {})
    (tmp_path / "file").write_text("")
    stored.write(tmp_path / "file" / "x.safetensors", {"x": torch.zeros(3)}, {})
