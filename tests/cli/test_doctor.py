from gansmith.cli import doctor


def test_doctor_says_what_there_is(cli):
    code, out, err = cli("doctor")
    assert (code, err) == (0, "")
    for word in ("gansmith", "python", "torch", "cores", "C++", "hub", "video", "GB free"):
        assert word in out, word


def test_what_is_missing_comes_with_the_way_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    for name in ("GANSMITH_INCEPTION", "GANSMITH_LPIPS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor, "NEEDED", ("no-such-package",))
    assert "missing" in doctor.compiler()[0][1]
    assert [row[1].split("  ")[0] for row in doctor.extras()] == [
        "missing (datasets, pyarrow, huggingface_hub): pip install 'gansmith[hub]'",
        "missing (torch_fidelity): pip install 'gansmith[fid]'",
        "missing (transformers): pip install 'gansmith[dinov2]'",
        "missing (imageio_ffmpeg): pip install 'gansmith[video]'",
        "Inception's: missing; `gansmith eval RUN --metrics fid` says where to get them",
        "LPIPS's: missing; `gansmith eval RUN --metrics lpips` says where to get them",
    ]
    assert doctor.versions()[-1] == ("no-such-package", "missing: pip install no-such-package")
