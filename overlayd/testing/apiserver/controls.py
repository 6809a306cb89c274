"""The paths under /testing/: the methods of `Faults`, and what was counted.

    GET  /testing/state      {"version", "oldest", "nodes", "open_watches", "hung"}
    GET  /testing/counters   {"total": {...}, "by_user_agent": {...}}, names as in `Counters`
    GET  /testing/requests   the last answers, oldest first
    POST /testing/clear-counters
    POST /testing/NAME       the method of `Faults` (hyphens for underscores), with the JSON object
                             in the body as its arguments: forget-history, replace-history,
                             reset-watches, end-watches, cut-next-line, inject-line, hang, resume,
                             delay, answer-next, set-tokens, clear

They need no token, are not counted, and are answered while everything else hangs.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from attrs import frozen
from twisted.web.http import Request

from overlayd.testing.apiserver.counters import Counters
from overlayd.testing.apiserver.faults import Faults
from overlayd.testing.apiserver.following import Watching
from overlayd.testing.apiserver.gate import Gate
from overlayd.testing.apiserver.refusals import Document, bad_request, no_such_path
from overlayd.testing.apiserver.store import NodeStore
from overlayd.testing.apiserver.writing import Answer, body

TESTING = "/testing/"

_FAULTS: dict[str, Callable[..., None]] = {
    "forget-history": Faults.forget_history,
    "replace-history": Faults.replace_history,
    "reset-watches": Faults.reset_watches,
    "end-watches": Faults.end_watches,
    "cut-next-line": Faults.cut_next_line,
    "inject-line": Faults.inject_line,
    "hang": Faults.hang,
    "resume": Faults.resume,
    "delay": Faults.delay,
    "answer-next": Faults.answer_next,
    "set-tokens": Faults.set_tokens,
    "clear": Faults.clear,
}


@frozen
class Controls:
    """Answers what is asked under TESTING."""

    faults: Faults
    counters: Counters
    store: NodeStore
    watching: Watching
    gate: Gate

    def answer(self, method: str, name: str, request: Request) -> Answer:
        """:raises Refusal: 400 for arguments that do not fit, 404 for another name."""
        if method == "GET":
            return self._shown(name)
        if method != "POST" or name not in (*_FAULTS, "clear-counters"):
            raise no_such_path()
        if name == "clear-counters":
            self.counters.clear()
            return Answer.of({})
        try:
            _FAULTS[name](self.faults, **_arguments(body(request)))
        except (TypeError, ValueError) as error:
            raise bad_request(f"{name}: {error}") from None
        return Answer.of({})

    def _shown(self, name: str) -> Answer:
        if name == "counters":
            return Answer.of(self.counters.counts())
        if name == "requests":
            return Answer.of(self.counters.log())
        if name == "state":
            return Answer.of(self._state())
        raise no_such_path()

    def _state(self) -> Document:
        return {
            "version": self.store.version,
            "oldest": self.store.oldest,
            "nodes": len(self.store.snapshot()),
            "open_watches": len(self.watching.watches()),
            "hung": self.gate.hung,
        }


def _arguments(sent: bytes) -> dict[str, Any]:
    return msgspec.json.decode(sent, type=dict[str, Any]) if sent else {}
