"""Whatever the page says, it says in each language, with the same places to fill in."""

import re

import pytest

from gansmith.playground.server import PAGE

WORDS = PAGE / "words"
PARTS = sorted(path.name.removesuffix("en.js") for path in WORDS.glob("*en.js"))


def said(name):
    text = (WORDS / name).read_text(encoding="utf-8")
    return dict(re.findall(r'^  "?([\w. -]+)"?:\s*"((?:[^"\\]|\\.)*)"', text, re.MULTILINE))


@pytest.mark.parametrize("part", PARTS)
def test_both_languages_say_the_same_things(part):
    english, chinese = said(f"{part}en.js"), said(f"{part}zh.js")
    assert english.keys() <= chinese.keys()  # a term of the field may stand for itself in English
    assert len(english) > 3
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", chinese[key])), key
