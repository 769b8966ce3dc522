import pytest

from gansmith.engine.phases import Span, phases_of, spans
from gansmith.errors import Refused
from gansmith.fields import Phase
from gansmith.games.game import Game
from gansmith.recipe import Recipe


class Two(Game):
    def phases(self):
        return (Phase(name="first", until=0.25), Phase(name="second", until=1))


def test_where_phases_lie():
    assert spans((), 100) == [Span(None, 0.0, 100)]
    phases = (Phase(name="a", until=0.5), Phase(name="b", until=60), Phase(name="c", until=1))
    assert spans(phases, 100) == [Span("a", 0.0, 50.0), Span("b", 50.0, 60.0), Span("c", 60.0, 100.0)]


def test_a_recipe_moves_a_games_phases_and_adds_none():
    assert [phase.name for phase in phases_of(Recipe(), Two())] == ["first", "second"]
    mine = (Phase(name="second", until=1),)
    assert phases_of(Recipe(phases=mine), Two()) == mine
    with pytest.raises(Refused, match="no phase 'third'; there are first, second"):
        phases_of(Recipe(phases=(Phase(name="third", until=1),)), Two())
