import os
import shutil

import pytest

import gansmith
from gansmith.errors import Refused
from gansmith.playground.folder import Folder
from gansmith.playground.models import Models
from playground.trained import runs
from playground.written import write


@pytest.fixture
def loads():
    return []


@pytest.fixture
def models(loads):
    def load(path, checkpoint):
        loads.append((path.name, checkpoint))
        return gansmith.load(path, checkpoint=checkpoint)

    return Models(Folder(runs()), most=2, load=load)


def test_a_model_is_loaded_once(models, loads):
    held = models.get("plain")
    assert models.get("plain") is held
    assert models.get("plain", held.model.images) is held
    assert loads == [("plain", "latest")]
    assert held.directions("outputs") is held.directions("outputs")
    assert held.bytes == 4 * sum(t.numel() for t in [*held.model.game.parameters(), *held.model.game.buffers()])


def test_only_so_many_are_held_and_the_last_used_stay(models, loads):
    plain = models.get("plain")
    models.get("classed")
    models.get("plain")
    models.get("styled")
    assert [name for name, _ in models.sizes()] == ["plain", "styled"]
    assert models.get("plain") is plain
    models.get("classed")
    assert [name for name, _ in loads] == ["plain", "classed", "styled", "classed"]


def test_their_weights_are_within_a_bound():
    models = Models(Folder(runs()), bound=1)
    for name in ("plain", "classed"):
        assert models.get(name).model.run.path.name == name
        assert len(models.sizes()) == 1


def test_a_checkpoint_that_was_written_anew_is_loaded_anew(tmp_path, loads):
    shutil.copytree(runs() / "plain", tmp_path / "plain")
    models = Models(Folder(tmp_path))
    held = models.get("plain")
    file = held.model.run.checkpoint_file(held.model.images)
    os.utime(file, (1, 1))
    assert models.get("plain") is not held
    again = models.get("plain")
    file.rename(file.with_name("000000000001.safetensors"))  # pruned, as a training does; and another one is there
    assert models.get("plain", again.model.images) is again
    with pytest.raises(Refused, match="plain: no checkpoint '5'"):
        models.get("plain", 5)


def test_a_damaged_checkpoint_is_passed_over_and_it_is_said(tmp_path):
    shutil.copytree(runs() / "plain", tmp_path / "plain")
    models = Models(Folder(tmp_path))
    files = models.folder.run("plain").checkpoints()
    shutil.copy(files[-1], files[-1].with_name("000000009999.safetensors"))
    files[-1].with_name("000000009999.safetensors").write_bytes(b"no")
    held = models.get("plain")
    assert held.model.images == int(files[-1].stem)
    assert "damaged" in held.notes[0]
    assert str(tmp_path) not in held.notes[0]
    assert models.get("plain").model is held.model


def test_what_has_no_model_of_images_is_refused(models, tmp_path):
    with pytest.raises(Refused, match="points: makes points, and only images"):
        models.get("points")
    with pytest.raises(Refused, match=r"no run '\.\./x'"):
        models.get("../x")
    write(tmp_path / "new")
    with pytest.raises(Refused, match="new: has no checkpoint yet"):
        Models(Folder(tmp_path)).get("new")
    use = write(tmp_path / "use", use="upscale PICTURES --run RUN")
    use.checkpoint_folder.mkdir()
    use.checkpoint_file(5).write_bytes(b"")
    with pytest.raises(Refused, match="use: makes nothing of noise alone") as told:
        Models(Folder(tmp_path)).get("use")
    assert told.value.remedy == "It is used by `gansmith upscale PICTURES --run RUN`."
