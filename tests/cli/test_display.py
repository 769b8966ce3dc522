import io
import sys

from rich.console import Console

from gansmith.cli import display as displays
from gansmith.engine.listener import Progress

from .fakes import make_run, play


def test_lines_are_occasional(capsys, tmp_path):
    shown = displays.Display()
    for images in range(100, 1000, 100):
        shown.progress(Progress(images, 1000, 1.0, 1.0, 50.0, {"generator/adversarial": 1.0}))
    assert capsys.readouterr().out.count("\n") == 1
    shown.progress(Progress(1000, 1000, 1.0, 1.0, 50.0, {}))
    assert "1,000 of 1,000 images  100%" in capsys.readouterr().out


def test_the_probability_of_an_augmentation_is_told(capsys):
    shown = displays.Display()
    shown.progress(Progress(1000, 1000, 1.0, 1.0, 50.0, {"generator/adversarial": 1.0}, {"augment": 0.25, "lr": 0.5}))
    assert "generator 1.000   augment 0.25\n" in capsys.readouterr().out


def test_the_live_display_shows_all_that_is_asked_of_it(tmp_path, monkeypatch, capsys):
    run = make_run(tmp_path / "x")
    out = io.StringIO()
    monkeypatch.setattr("rich.get_console", lambda: Console(file=out, force_terminal=True, width=120))
    monkeypatch.setattr("rich.live.get_console", lambda: Console(file=out, force_terminal=True, width=120))
    shown = displays.LiveDisplay()
    shown.score(0, {"fd-toy": 4.5, "fd-toy/spread": 1.0})
    play(run, (shown,))
    text = out.getvalue() + capsys.readouterr().out
    for word in (
        "60%",
        "600 of 1,000 images",
        "50 images/s",
        "8 s left",
        "discriminator 1.250",
        "fd-toy 4.5",
        "a [warning]",
    ):
        assert word in text, word
    assert shown.reason == "done"
    shown.close()


def test_a_terminal_gets_the_live_display(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert isinstance(displays.make_display(), displays.LiveDisplay)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert not isinstance(displays.make_display(), displays.LiveDisplay)


def test_the_loss_of_a_move_is_the_sum_of_its_terms():
    assert displays.by_move({"d/adversarial": 1.0, "d/r1": 0.5, "g/adversarial": 2.0, "odd": 3.0}) == {
        "d": 1.5, "g": 2.0, "odd": 3.0,
    }  # fmt: skip
