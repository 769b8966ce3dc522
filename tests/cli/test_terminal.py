from gansmith.cli.terminal import pairs, table


def test_a_table_is_aligned_with_numbers_to_the_right():
    assert table(("a", "count"), [("x", "1"), ("long", "1,000")]) == "a     count\nx         1\nlong  1,000"
    assert table(("a", "b"), []) == "a  b"


def test_the_last_column_is_shortened_to_fit():
    assert table(("a", "b"), [("x", "one two three four five")], width=20) == "a  b\nx  one two three fo…"


def test_pairs():
    assert pairs([("a", "1"), ("long", "2")]) == "  a     1\n  long  2"
