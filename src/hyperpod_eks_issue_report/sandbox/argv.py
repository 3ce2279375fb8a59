"""The agent's splitting of a command into arguments: google/shlex, rune by rune.

No shell is involved. `#` at the start of a word begins a comment up to the end of the line; in
double quotes a backslash escapes any rune; single quotes are literal.
"""

from __future__ import annotations

_BLANKS = " \t\r\n"
_QUOTE_ERROR = "EOF found when expecting closing quote"
_ESCAPE_ERROR = "EOF found after escape character"


class SplitError(ValueError):
    """The command cannot be split; the text is google/shlex's own."""


def split(command: str) -> list[str]:
    """Split as `shlex.Split` of google/shlex does.

    Raises:
        SplitError: a quote or an escape is left open.
    """
    words: list[str] = []
    at = 0
    while at < len(command):
        rune = command[at]
        if rune in _BLANKS:
            at += 1
        elif rune == "#":
            end = command.find("\n", at)
            at = len(command) if end < 0 else end + 1
        else:
            word, at = _word(command, at)
            words.append(word)
    return words


def _word(command: str, at: int) -> tuple[str, int]:
    """Read one word from `at`; returns it and the position behind it."""
    runes: list[str] = []
    while at < len(command) and command[at] not in _BLANKS:
        rune = command[at]
        if rune == "'":
            end = command.find("'", at + 1)
            if end < 0:
                raise SplitError(_QUOTE_ERROR)
            runes.append(command[at + 1 : end])
            at = end + 1
        elif rune == '"':
            quoted, at = _double_quoted(command, at + 1)
            runes.append(quoted)
        elif rune == "\\":
            if at + 1 >= len(command):
                raise SplitError(_ESCAPE_ERROR)
            runes.append(command[at + 1])
            at += 2
        else:
            runes.append(rune)
            at += 1
    return "".join(runes), at


def _double_quoted(command: str, at: int) -> tuple[str, int]:
    runes: list[str] = []
    while at < len(command):
        rune = command[at]
        if rune == '"':
            return "".join(runes), at + 1
        if rune == "\\":
            at += 1
            if at >= len(command):
                raise SplitError(_ESCAPE_ERROR)
            rune = command[at]
        runes.append(rune)
        at += 1
    raise SplitError(_QUOTE_ERROR)
