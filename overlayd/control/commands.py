"""The AMP commands of the control socket, and what can go wrong with each.

A client asks one thing at a time. Documents are JSON, made in `overlayd.control.encoding`; what can
be long is a list, and lists come in pages, for an AMP value ends at 65,535 bytes. The lists of a
connection belong to the status that it was given last, so that together they show one moment.
"""

from typing import ClassVar

from twisted.protocols import amp

Fields = list[tuple[bytes, amp.Argument]]


class BadRequest(Exception):
    """The request makes no sense: a missing or wrong argument, a list that there is not."""


class NoSuchPass(Exception):
    """The changes of that pass are not remembered on this connection."""


class CannotAnswer(Exception):
    """The daemon cannot answer now: it is stopping, or something in it failed."""


ERRORS = {
    BadRequest: b"BAD_REQUEST",
    NoSuchPass: b"NO_SUCH_PASS",
    CannotAnswer: b"CANNOT_ANSWER",
}

# `after` is how many items to leave out: 0 for the first page, then the `next` of the page before.
_PAGE_ARGUMENTS: Fields = [(b"after", amp.Integer()), (b"limit", amp.Integer())]

# `next` is 0 with the last page.
_PAGE: Fields = [(b"items", amp.String()), (b"next", amp.Integer())]


class GetStatus(amp.Command):
    """The state of the daemon as one document, with how long each list is."""

    response: ClassVar[Fields] = [(b"status", amp.String())]
    errors = ERRORS


class List(amp.Command):
    """A page of a list: "peers", "quarantines", ... as `overlayd.control.responders` names them."""

    arguments: ClassVar[Fields] = [(b"what", amp.Unicode()), *_PAGE_ARGUMENTS]
    response: ClassVar[Fields] = _PAGE
    errors = ERRORS


class ListChanges(amp.Command):
    """A page of what a pass changed: the last of the status, or the one Resync waited for."""

    arguments: ClassVar[Fields] = [(b"number", amp.Integer()), *_PAGE_ARGUMENTS]
    response: ClassVar[Fields] = _PAGE
    errors = ERRORS


class Resync(amp.Command):
    """Run a full pass that begins now, and answer with its report once it is done."""

    response: ClassVar[Fields] = [(b"report", amp.String())]
    errors = ERRORS


class Confirm(amp.Command):
    """Let the peers go that the status shows as held, and answer as Resync does."""

    response: ClassVar[Fields] = [(b"report", amp.String())]
    errors = ERRORS


class GetPlan(amp.Command):
    """Read the machine and tell what a pass would do now, without doing it."""

    response: ClassVar[Fields] = [(b"plan", amp.String())]
    errors = ERRORS


class ListPlan(amp.Command):
    """A page of the plan that was given last: its "changes", or what it leaves "held"."""

    arguments: ClassVar[Fields] = [(b"what", amp.Unicode()), *_PAGE_ARGUMENTS]
    response: ClassVar[Fields] = _PAGE
    errors = ERRORS


class ListHistory(amp.Command):
    """A page of the last passes that changed something or failed, oldest first."""

    arguments: ClassVar[Fields] = _PAGE_ARGUMENTS
    response: ClassVar[Fields] = _PAGE
    errors = ERRORS


class ListHistoryChanges(amp.Command):
    """A page of what is known that a pass of the history changed."""

    arguments: ClassVar[Fields] = [(b"number", amp.Integer()), *_PAGE_ARGUMENTS]
    response: ClassVar[Fields] = _PAGE
    errors = ERRORS


class Teardown(amp.Command):
    """Take down what is ours on this node; answer with what became of it.

    `force` goes on where our annotations cannot be withdrawn. ListChanges has what was removed.
    """

    arguments: ClassVar[Fields] = [(b"force", amp.Boolean())]
    response: ClassVar[Fields] = [(b"report", amp.String())]
    errors = ERRORS


COMMANDS = (
    GetStatus,
    List,
    ListChanges,
    Resync,
    Confirm,
    GetPlan,
    ListPlan,
    ListHistory,
    ListHistoryChanges,
    Teardown,
)
