"""The states of a data channel and the one table of its transitions."""

from __future__ import annotations

import enum
from typing import Final


class State(enum.Enum):
    """Where the channel stands."""

    WAITING = "waiting"  # nothing has arrived: a handshake may come, or output at once
    NEGOTIATING = "negotiating"  # the handshake is answered; the agent still drops input
    OPEN = "open"  # input flows
    CLOSED = "closed"  # the service closed the channel
    FAILED = "failed"  # we gave it up


class Trigger(enum.Enum):
    """What can move a channel from one state to another."""

    REQUEST = "handshake request"
    COMPLETE = "handshake complete"
    DATA = "output without a handshake"
    CLOSE = "channel closed"
    FAILURE = "failure"


#: A pair that is missing here changes nothing: a second HandshakeRequest, for example, must not be
#: answered again, because a second response blocks the agent's reader for good.
TRANSITIONS: Final = {
    (State.WAITING, Trigger.REQUEST): State.NEGOTIATING,
    (State.WAITING, Trigger.DATA): State.OPEN,
    (State.NEGOTIATING, Trigger.COMPLETE): State.OPEN,
    (State.WAITING, Trigger.CLOSE): State.CLOSED,
    (State.NEGOTIATING, Trigger.CLOSE): State.CLOSED,
    (State.OPEN, Trigger.CLOSE): State.CLOSED,
    (State.WAITING, Trigger.FAILURE): State.FAILED,
    (State.NEGOTIATING, Trigger.FAILURE): State.FAILED,
    (State.OPEN, Trigger.FAILURE): State.FAILED,
}
