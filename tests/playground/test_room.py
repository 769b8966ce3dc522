import numpy as np
import pytest

from gansmith.errors import Refused
from gansmith.playground.room import House, Post, Room, packed, unpacked


def test_arrays_travel_as_they_are():
    given = {
        "a": np.arange(6, dtype=np.float64).reshape(2, 3),
        "b": np.array([1, 2, 255], np.uint8),
        "c": np.zeros((0, 2)),
    }
    data = packed({"room": "x", "text": "模"}, {**given, "d": np.ones(2)})
    fields, arrays = unpacked(data)
    assert fields == {"room": "x", "text": "模"}
    assert all(np.array_equal(arrays[name], array) for name, array in given.items())
    assert arrays["a"].dtype == np.float32
    assert arrays["b"].dtype == np.uint8
    assert len(data) % 4 == 0


@pytest.mark.parametrize("name", ["..", "../other", "/etc", "a/../..", "", ".", "x\0y", "x" * 5000])
def test_no_path_leads_out_of_the_runs(tmp_path, name):
    (tmp_path / "runs").mkdir()
    with pytest.raises(Refused, match="no run"):
        House(tmp_path / "runs").run(name)


def test_a_link_out_of_the_runs_is_no_run(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path)
    with pytest.raises(Refused, match="no run"):
        House(tmp_path / "runs").run("link")
    assert House(tmp_path / "runs").run("mine") == (tmp_path / "runs" / "mine").resolve()


def test_a_room_does_what_it_can_and_refuses_the_rest(tmp_path):
    class Kitchen(Room):
        def do_cook(self, message):
            return {"made": message["what"]}

    sent = []
    kitchen = Kitchen(House(tmp_path), Post("kitchen", sent.append))
    assert kitchen.hear({"do": "cook", "what": "tea"}) == {"made": "tea"}
    for wrong in ({"do": "burn"}, {}, {"do": ["cook"]}):
        with pytest.raises(Refused, match="cannot do"):
            kitchen.hear(wrong)
    kitchen.post.say("smell", of=np.float32(1.5))
    assert sent == ['{"room": "kitchen", "kind": "smell", "of": 1.5}']


def test_what_rooms_share_is_made_once_and_closed_at_the_end(tmp_path):
    class Shared:
        closed = 0

        def close(self):
            self.closed += 1

    house, made = House(tmp_path), []
    first = house.once("a", lambda: made.append(1) or Shared())
    assert house.once("a", lambda: made.append(2) or Shared()) is first
    assert house.once("b", lambda: "plain") == "plain"
    assert made == [1]
    house.close()
    house.close()
    assert first.closed == 1
