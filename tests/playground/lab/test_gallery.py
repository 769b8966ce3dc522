import pytest

from gansmith.playground.lab.choices import choices
from gansmith.playground.lab.gallery import EXHIBITS, plain
from gansmith.playground.lab.session import World
from gansmith.playground.lab.settings import opened, read


def watched(settings, rounds):
    world = World([settings], opened(settings, None))
    for _ in range(rounds):
        world.play("round")
    return world.gauges[0]


def test_the_gallery_is_made_of_what_there_is():
    for each in plain():
        for which in ("fails", "cured"):
            settings = read(each[which])
            assert settings.loss in choices()["loss"]
            assert set(settings.penalties) <= set(choices()["penalties"])


@pytest.mark.slow
@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda each: each.name)
def test_each_fails_as_it_says_and_is_cured(exhibit):
    fails, cured = watched(exhibit.fails, exhibit.rounds), watched(exhibit.cured, exhibit.rounds)
    assert exhibit.trouble in [each["name"] for each in fails.troubles]
    assert not cured.troubles
    bad, good = fails.scores[-1], cured.scores[-1]
    assert good[3] < 0.5 * bad[3]  # W2
    gradient = [row[4] for row in fails.points]
    if exhibit.name == "vanishing":
        assert max(gradient[len(gradient) // 2 :]) < 1e-3 * gradient[0]
        assert abs(fails.scores[-1][3] - fails.scores[len(fails.scores) // 2][3]) < 1e-3  # fakes stand still
    if exhibit.name == "overpowered":
        assert gradient[-1] > gradient[0]  # loud, and of no help
    if bad[1] == bad[1]:
        assert bad[1] <= 1 < good[1]  # modes
