import pytest

SUITE = """\
name: mine
summary: Mine.
data: {ring: ring, grid: grid}
length: {images: 1000}
seeds: 2
metrics: [modes]
samples: 100
rows:
  one:
    recipe: gan
    fields:
      generator: {network: mlp, hidden: [8]}
      discriminator: {network: mlp, hidden: [8]}
      conditional: false
  two: gan
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.yaml").write_text(SUITE)
    return "mine.yaml"


def test_suites_are_listed(cli):
    code, out, _ = cli("bench")
    assert code == 0
    assert "modes" in out
    assert "few-shot" in out


def test_one_is_shown(cli, mine):
    assert cli("bench", mine, "--yaml") == (0, SUITE, "")
    code, out, _ = cli("bench", mine, "--dry-run", "--rows", "two", "--seeds", "5")
    assert code == 0
    assert out.splitlines()[1].split() == ["two", "ring", "gan", "5"]


def test_one_is_run(cli, mine, tmp_path):
    code, out, err = cli("bench", mine, "--rows", "one", "--data", "ring", "--seeds", "1", "--out", "found")
    assert (code, err) == (0, "")
    assert "1 of 1: one on ring, seed 0" in out
    assert "found: table.md and page.html hold the tables" in out
    assert (tmp_path / "found/results.json").exists()


@pytest.mark.parametrize(("argv", "told"), [
    (["mode"], "no suite is called 'mode'\nDid you mean 'modes'?"),
    (["mine.yaml", "--rows", "three"], "no row is called 'three'"),
    (["mine.yaml", "--images", "5", "--minutes", "1"], "--images and --minutes: give one length, not 2"),
    (["mine.yaml", "--seeds", "0"], "expected a whole number of one or more"),
    (["none.yaml"], "none.yaml: cannot read the suite"),
])  # fmt: skip
def test_bad_input_is_one_plain_line(cli, mine, argv, told):
    code, _, err = cli("bench", *argv)
    assert code == 2
    assert told in err
    assert "Traceback" not in err
