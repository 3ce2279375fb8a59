"""The agent splits a command with google/shlex; what Python's shlex joins must come back whole.

The splitter here is written from that library's rules: blanks separate words, `#` begins a comment
only where a word would begin, single quotes are literal, and inside double quotes a backslash
takes any next character as it is.
"""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

BLANKS = " \t\r\n"


#: One piece of a word: a quoted stretch, an escaped character or a plain one.
PIECE = re.compile(
    r"""'(?P<literal>[^']*)'
    | "(?P<quoted>(?:[^"\\]|\\.)*)"
    | \\(?P<escaped>.)
    | (?P<plain>[^'"\\])""",
    re.DOTALL | re.VERBOSE,
)


def go_split(text: str) -> list[str]:
    words: list[str] = []
    at = 0
    while True:
        while at < len(text) and text[at] in BLANKS:
            at += 1
        if at == len(text):
            return words
        if text[at] == "#":
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
            continue
        word = ""
        while at < len(text) and text[at] not in BLANKS:
            piece = PIECE.match(text, at)
            if piece is None:
                raise ValueError("EOF found when expecting closing quote")
            quoted = re.sub(r"\\(.)", r"\1", piece["quoted"] or "", flags=re.DOTALL)
            word += (piece["literal"] or "") + quoted
            word += (piece["escaped"] or "") + (piece["plain"] or "")
            at = piece.end()
        words.append(word)


def test_an_open_quote_is_an_error() -> None:
    with pytest.raises(ValueError, match="closing quote"):
        go_split("echo 'open")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one two", ["one", "two"]),
        ("one # two", ["one"]),
        ("one#two", ["one#two"]),
        ("'#' #", ["#"]),
        (r'"a\"b\nc"', ['a"bnc']),
        (r"'a\b'", [r"a\b"]),
        (r"a\ b ''", ["a b", ""]),
        ("# all\nof it", ["of", "it"]),
    ],
)
def test_the_splitter_itself(text: str, words: list[str]) -> None:
    assert go_split(text) == words


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_joined_words_come_back(words: list[str]) -> None:
    assert go_split(shlex.join(words)) == words


@given(st.lists(st.text(alphabet="ab'\"\\# $`\t\n!", max_size=12), min_size=1, max_size=5))
def test_joined_words_of_hard_characters_come_back(words: list[str]) -> None:
    assert go_split(shlex.join(words)) == words
