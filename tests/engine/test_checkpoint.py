import errno
import json
import os
import struct

import pytest
import torch
from safetensors import SafetensorError

from gansmith.engine import checkpoint
from gansmith.errors import Refused
from gansmith.run import Run

from .playing import make_player, make_recipe, play, state, unlike

TENSORS = {
    "weights.a": torch.arange(6.0).view(2, 3),
    "state.half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "state.count": torch.tensor(7),
    "state.double": torch.tensor(0.1, dtype=torch.float64),
    "weights.image": torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).to(
        memory_format=torch.channels_last
    ),
}


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path / "run")
    for images in (0, 100, 200):
        checkpoint.save(made.checkpoint_file(images), TENSORS, {"images": images, "best": None})
    return made


def leftovers(run):
    return [p for p in run.path.rglob("*") if p.name.endswith(".tmp")]


def test_what_is_written_is_read_bit_for_bit(run):
    tensors, rest = checkpoint.read(run.checkpoint_file(100))
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[k], TENSORS[k]) and tensors[k].dtype == TENSORS[k].dtype for k in TENSORS)
    assert rest["images"] == 100
    assert rest["schema_version"] == checkpoint.SCHEMA
    assert not leftovers(run)


def test_a_part_can_be_read_alone(run):
    assert set(checkpoint.read(run.checkpoint_file(0), prefix="state.")[0]) == {
        "state.half", "state.count", "state.double",
    }  # fmt: skip


def test_nothing_is_pickled(run):
    raw = run.checkpoint_file(0).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])  # a safetensors file: JSON, and then nothing but numbers
    assert set(header) == {"__metadata__", *TENSORS}
    sizes = sum(t.numel() * t.element_size() for t in TENSORS.values())
    assert len(raw) == 8 + length + sizes
    assert json.loads(header["__metadata__"]["gansmith"])["images"] == 0


def test_the_newest_good_one_is_used(run):
    found = checkpoint.newest(run)
    assert found.path == run.checkpoint_file(200)
    assert found.damaged == found.warnings() == []


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1  # in a tensor: the file's layout is still right
    path.write_bytes(raw)


def other(path):
    path.write_text("not a checkpoint, but a long text " * 20)


@pytest.mark.parametrize("damage", [cut, empty, flip, other])
def test_a_damaged_newest_one_is_passed_over_with_a_warning(run, damage):
    damage(run.checkpoint_file(200))
    found = checkpoint.newest(run)
    assert found.path == run.checkpoint_file(100)
    (warning,) = found.warnings()
    assert "000000000200.safetensors: damaged" in warning
    assert warning.endswith("the one of image 100 is used")
    checkpoint.put_aside(run, found.damaged)
    assert [p.stem for p in run.checkpoints()] == ["000000000000", "000000000100"]


def test_where_none_is_good_it_is_refused(run, tmp_path):
    for path in run.checkpoints():
        cut(path)
    with pytest.raises(Refused, match=r"000000000200\.safetensors: damaged"):
        checkpoint.newest(run)
    with pytest.raises(Refused, match="has no checkpoint yet"):
        checkpoint.newest(Run(tmp_path / "none"))
    with pytest.raises(Refused, match="no such checkpoint"):
        checkpoint.read(run.checkpoint_file(300))


def test_a_newer_schema_is_refused(run, monkeypatch):
    monkeypatch.setattr(checkpoint, "SCHEMA", 9)
    checkpoint.save(run.checkpoint_file(300), TENSORS, {"images": 300})
    monkeypatch.undo()
    with pytest.raises(Refused, match="schema version 9; this gansmith reads up to 1"):
        checkpoint.read(run.checkpoint_file(300))


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_in_rust(tensors, path, *_):
    path.write_bytes(b"a part")
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("where", "how"),
    [
        ("gansmith.engine.checkpoint.save_file", full_in_rust),
        ("os.replace", full),
        ("os.fsync", full),
        ("tempfile.mkstemp", full),
    ],
)
def test_a_full_disk_is_refused_and_leaves_the_old_one(run, monkeypatch, where, how):
    before = run.checkpoint_file(200).read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(where, how)
        with pytest.raises(Refused) as caught:
            checkpoint.save(run.checkpoint_file(200), {"weights.a": torch.ones(3)}, {"images": 200})
    assert caught.value.what.endswith("000000000200.safetensors: the disk is full")
    assert "gansmith resume" in caught.value.remedy
    assert caught.value.exit_code == 2
    assert run.checkpoint_file(200).read_bytes() == before
    assert not leftovers(run)
    assert checkpoint.newest(run).path == run.checkpoint_file(200)


def test_a_real_limit_on_a_files_size_is_refused(run):
    import resource
    import signal

    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, old[1]))
        with pytest.raises(Refused, match=r"cannot be written \(.*File too large"):
            checkpoint.save(run.checkpoint_file(300), {"weights.a": torch.ones(100_000)}, {"images": 300})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert not leftovers(run)
    assert checkpoint.newest(run).path == run.checkpoint_file(200)


def test_what_a_kill_left_half_written_is_cleared(run):
    (run.checkpoint_folder / ".000000000300.safetensors.abc.tmp").write_bytes(b"part")
    checkpoint.put_aside(run, [])
    assert not leftovers(run)
    assert len(run.checkpoints()) == 3


def test_pruning_keeps_the_newest_and_the_best(run):
    for images in (300, 400):
        checkpoint.save(run.checkpoint_file(images), TENSORS, {"images": images})
    checkpoint.prune(run, 2, 100)
    assert [int(p.stem) for p in run.checkpoints()] == [100, 300, 400]
    checkpoint.prune(run, 2, None)
    assert [int(p.stem) for p in run.checkpoints()] == [300, 400]


def test_one_from_before_a_clock_is_kept_and_found(run):
    for images in (300, 400, 500):
        checkpoint.save(run.checkpoint_file(images), TENSORS, {"images": images})
    checkpoint.prune(run, 2, None, 350)
    assert [int(p.stem) for p in run.checkpoints()] == [300, 400, 500]
    assert checkpoint.newest(run, 450).rest["images"] == 400
    assert checkpoint.newest(run, 399).rest["images"] == 300
    assert checkpoint.newest(run, 10).rest["images"] == 300  # there is no older one
    checkpoint.prune(run, 2, None, 10)
    assert [int(p.stem) for p in run.checkpoints()] == [400, 500]


@pytest.mark.parametrize(("name", "precision"), [("gan", "fp32"), ("dcgan", "bf16"), ("r3gan", "fp64")])
def test_a_players_state_survives_a_file(tmp_path, name, precision):
    recipe = make_recipe(name, precision=precision)
    player = play(make_player(recipe), 3)
    checkpoint.save(tmp_path / "x.safetensors", player.tensors(), player.clock())
    other = make_player(recipe)
    other.load(*checkpoint.read(tmp_path / "x.safetensors"))
    assert unlike(other, player) == []
    assert state(play(other, 4)).keys() == state(player).keys()
    assert unlike(other, play(player, 4)) == []
