"""The session documents: what each name means to the agent, and which parameters it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .aws_json import ApiError

DEFAULT = "SSM-SessionManagerRunShell"
_SEPARATOR = re.compile(r"[0-9a-zA-Z\r\n_:-]{0,30}")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})


@dataclass(frozen=True, slots=True)
class Document:
    """A session document; without KMS only NonInteractiveCommands shakes hands."""

    session_type: str
    terminal: bool
    handshake: bool
    parameters: frozenset[str]


_SEPARATE = frozenset({"separateOutputStream", "stdOutSeparatorPrefix", "stdErrSeparatorPrefix"})
DOCUMENTS = {
    DEFAULT: Document("Standard_Stream", True, False, frozenset()),
    "AWS-StartInteractiveCommand": Document(
        "InteractiveCommands", True, False, frozenset({"command"})
    ),
    "AWS-StartNonInteractiveCommand": Document(
        "NonInteractiveCommands", False, True, frozenset({"command"}) | _SEPARATE
    ),
}


def find(name: str, missing: tuple[str, ...]) -> Document:
    """The document, or the service's InvalidDocument."""
    document = DOCUMENTS.get(name)
    if document is None or name in missing:
        raise ApiError("InvalidDocument", f"Document with name {name} does not exist.")
    return document


def arguments(document: Document, given: dict[str, list[str]]) -> tuple[str, bool]:
    """The command and whether output is separate."""
    unknown = sorted(set(given) - document.parameters)
    if unknown:
        raise ApiError(
            "InvalidParameters",
            f"Parameters provided in request: {unknown} are not supported by the document.",
        )
    if "command" in document.parameters and "command" not in given:
        raise ApiError("InvalidParameters", "Parameter command is required.")
    for name in ("stdOutSeparatorPrefix", "stdErrSeparatorPrefix"):
        if not all(_SEPARATOR.fullmatch(value) for value in given.get(name, [])):
            raise ApiError("InvalidParameters", f"Parameter {name} does not match its pattern.")
    separate = given.get("separateOutputStream", ["false"])
    return " ".join(given.get("command", [])), separate[:1] != [] and separate[0] in _TRUE
