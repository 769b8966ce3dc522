from .fakes import make_run


def test_resume_goes_on_and_ends_as_train_does(cli, engine, tmp_path):
    make_run(tmp_path / "x", end="interrupted")
    code, out, err = cli("resume", "x")
    assert (code, err) == (0, "")
    assert engine.calls[0]["path"] == "x"
    assert "Done: 600 images" in out
    assert "report   x/report.html" in out
