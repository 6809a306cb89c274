"""The faults that tests and the demo cause on purpose, as plain methods."""

from collections.abc import Iterable, Sequence

from twisted.internet.interfaces import IReactorTime

from overlayd.testing.apiserver.following import Watching
from overlayd.testing.apiserver.gate import Gate, Plan
from overlayd.testing.apiserver.refusals import Document
from overlayd.testing.apiserver.store import NodeStore
from overlayd.testing.apiserver.tokens import Tokens
from overlayd.testing.apiserver.writes import new_node


class Faults:
    """Each method takes effect at once; `clear` ends those that last."""

    def __init__(
        self, clock: IReactorTime, store: NodeStore, watching: Watching, gate: Gate, tokens: Tokens
    ) -> None:
        self._clock = clock
        self._store = store
        self._watching = watching
        self._gate = gate
        self._tokens = tokens

    # --- history -----------------------------------------------------------------------------

    def forget_history(self) -> None:
        """Compact: any version but the present one is answered with 410, tokens of lists too."""
        self._store.forget()

    def replace_history(self, version: int = 1, nodes: Sequence[Document] | None = None) -> None:
        """Come back with other data, as after a restored backup: versions start at `version`.

        Every Node has a new uid; None keeps the Nodes as they are otherwise. All watches are reset.

        :raises ValueError: version below 1, or a document has a wrong type.
        :raises Refusal: 422, a document is no valid Node.
        """
        if version < 1:
            raise ValueError("versions start at 1")
        if nodes is None:
            nodes = [node.document for node in self._store.snapshot()]
        made = [new_node(document, self._clock.seconds()) for document in nodes]
        self.reset_watches()
        self._store.replace(made, version)

    # --- watches -----------------------------------------------------------------------------

    def reset_watches(self) -> None:
        """Reset the connection of every open watch (TCP RST)."""
        for watch in self._watching.watches():
            watch.reset()

    def end_watches(self) -> None:
        """End every open watch cleanly, as when its timeoutSeconds are over."""
        for watch in self._watching.watches():
            watch.end()

    def cut_next_line(self, length: int, clean: bool = False) -> None:
        """Let every open watch end after `length` bytes of its next line.

        `clean` ends the body as HTTP wants it; otherwise the connection is closed in the middle.
        """
        for watch in self._watching.watches():
            watch.cut_next_line(length, clean)

    def inject_line(self, line: str) -> None:
        """Write a line, whatever it is, into every open watch."""
        for watch in self._watching.watches():
            watch.inject(line.encode())

    # --- answers -----------------------------------------------------------------------------

    def hang(self, seconds: float | None = None) -> None:
        """Take connections and requests and answer nothing; watches go silent.

        Without seconds, until `resume`.
        """
        self._gate.hang(seconds)
        self._watching.silence(True)
        self._gate.opened().addCallback(lambda _: self._watching.silence(False))

    def resume(self) -> None:
        """End a hang: what waited is answered, and watches send what they held back."""
        self._gate.resume()

    def delay(self, seconds: float = 0.0) -> None:
        """Let every request wait that long from now on."""
        self._gate.delay(seconds)

    def answer_next(
        self,
        count: int,
        status: int,
        retry_after: int | None = None,
        verbs: Iterable[str] = (),
    ) -> None:
        """Refuse the next `count` requests with this HTTP status, and Retry-After in seconds.

        `verbs` are those of `Call.verb`; none means any.
        """
        self._gate.plan(Plan(count, status, retry_after, frozenset(verbs)))

    def set_tokens(self, tokens: Iterable[str] = ()) -> None:
        """Take these bearer tokens only; without any, requests need none. Open watches go on."""
        self._tokens.accept(tokens)

    def clear(self) -> None:
        """End hang and delay, and forget what `answer_next` planned."""
        self._gate.clear()
