import pytest

from gansmith.errors import Refused
from gansmith.own import module_of


def test_a_file_is_a_module_read_anew_each_time(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("VALUE = 1")
    assert module_of(file).VALUE == 1
    file.write_text("VALUE = 22")
    assert module_of(file).VALUE == 22


@pytest.mark.parametrize(("text", "says"), [(None, "no such file"), ("x = 1/0", "ZeroDivisionError"), ("(", "Syntax")])
def test_refuses(tmp_path, text, says):
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    with pytest.raises(Refused, match=says):
        module_of(tmp_path / "mine.py")
