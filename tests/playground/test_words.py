"""Whatever the page says, it says in each language, with the same places to fill in."""

import re

import pytest

from gansmith.playground import server

PAGE = server.PAGE


def words(room, language):
    text = (PAGE / "words" / f"{room}.{language}.js").read_text(encoding="utf-8")
    return dict(re.findall(r'^  "?([\w.][\w. -]*?)"?:\s*"((?:[^"\\]|\\.)*)",$', text, re.MULTILINE))


@pytest.mark.parametrize("room", server.ROOMS)
def test_both_languages_say_the_same_things(room):
    english, chinese = words(room, "en"), words(room, "zh")
    # The watch's own lines are English; in Chinese the page has lines of its own.
    assert set(chinese) - set(english) == {key for key in chinese if key.startswith("lab.shows.")}
    assert set(english) <= set(chinese)
    for key, text in english.items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", chinese[key])), key


def test_the_lab_says_only_what_it_has_words_for():
    known = words("lab", "en")
    for path in [PAGE / "rooms" / "lab.js", *(PAGE / "lab").glob("*.js")]:
        for key in re.findall(r'words\("(lab\.[\w.]+)"', path.read_text(encoding="utf-8")):
            assert key in known, (path.name, key)


def test_every_exhibit_is_explained_in_three_sentences():
    from gansmith.playground.lab.gallery import EXHIBITS

    for language, stop in (("en", r"\.(?:\s|$)"), ("zh", "。")):
        known = words("lab", language)
        for exhibit in EXHIBITS:
            for part in ("why", "cure"):
                text = known[f"lab.show.{exhibit.name}.{part}"]
                assert len(re.findall(stop, text)) == 3, text
            assert f"lab.watch.{exhibit.trouble}" in known
