"""Asking the daemon: a blocking client of the control socket, one question at a time.

It does without Twisted: importing the reactor and AMP takes several times the processor time of
all the rest, and a readiness probe would pay it every few seconds.
"""

import json
import socket
import time
from types import TracebackType
from typing import Any

from overlayd.control import wire
from overlayd.model.errors import OverlaydError

Document = dict[str, Any]

PAGE_ITEMS = 1_000
_QUEUE_PAUSE = 0.01  # seconds
_ERRORS_OF_AMP = {"UNHANDLED": "it does not know the request: it is another version of overlayd"}


class ClientError(OverlaydError):
    """The daemon did not answer as it should. The text says what to do about it."""


class NotRunning(ClientError):
    """Nobody listens at the control socket."""


class NotPermitted(ClientError):
    """Whoever asks may not open the control socket."""


class NoAnswer(ClientError):
    """The daemon did not answer within the time limit."""


class Daemon:
    """The daemon at the other end of the socket `path`; a context manager.

    `timeout` is how many seconds it may take to answer one question.

    :raises ClientError: from every method; which one tells what happened.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._received = bytearray()
        self._until = 0.0  # when the answer must be here, by the monotonic clock

    def __enter__(self) -> "Daemon":
        try:
            self._connect()
        except OSError as error:
            self._socket.close()
            raise self._explained(error) from error
        return self

    def _connect(self) -> None:
        """Wait for a place in the queue of those that connect, where it is full."""
        until = time.monotonic() + self._timeout
        self._socket.settimeout(self._timeout)
        while True:
            try:
                self._socket.connect(self._path)
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(_QUEUE_PAUSE)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def status(self) -> Document:
        """The status; `counts` in it tells how long the lists are."""
        status = self._document(self._ask("GetStatus"), b"status")
        if status.get("format") != wire.FORMAT:
            raise ClientError(
                f"overlayd {status.get('version')!s:.20} and this overlayctl are different "
                f"versions; use the overlayctl that came with it"
            )
        return status

    def peers(self) -> list[Document]:
        return self._list("List", what="peers")

    def items(self, what: str, at_most: int | None = None) -> list[Document]:
        """A list of the status that was asked for before, or its first items."""
        return self._list("List", at_most, what=what)

    def changes(self, number: int, at_most: int | None = None) -> list[Document]:
        """What a pass changed: the last one of the status, or that of `resync`."""
        return self._list("ListChanges", at_most, number=number)

    def resync(self) -> Document:
        """Wait for a full pass that begins now; return what it did."""
        return self._document(self._ask("Resync"), b"report")

    def confirm(self) -> Document:
        """Let go what the status shows as held; return the report of the pass that does it."""
        return self._document(self._ask("Confirm"), b"report")

    def plan(self) -> Document:
        """What a pass would do now; `counts` in it tells how long its lists are."""
        return self._document(self._ask("GetPlan"), b"plan")

    def planned(self, what: str) -> list[Document]:
        """The "changes" of the plan that was asked for before, or what it leaves "held"."""
        return self._list("ListPlan", what=what)

    def history(self) -> list[Document]:
        """The last passes that changed something or failed, oldest first."""
        return self._list("ListHistory")

    def past_changes(self, number: int) -> list[Document]:
        """What is known that a pass of the history changed."""
        return self._list("ListHistoryChanges", number=number)

    def teardown(self, force: bool) -> Document:
        """Take down what is ours on this node; return what became of it."""
        return self._document(self._ask("Teardown", force=force), b"report")

    def _list(
        self, command: str, at_most: int | None = None, **arguments: str | int
    ) -> list[Document]:
        items: list[Document] = []
        while at_most is None or len(items) < at_most:
            limit = PAGE_ITEMS if at_most is None else at_most - len(items)
            answer = self._ask(command, after=len(items), limit=limit, **arguments)
            page = self._parsed(answer, b"items", list)
            if not all(isinstance(item, dict) for item in page):
                raise self._garbage()
            items += page
            following = self._parsed(answer, b"next", int)
            if following == 0:
                break
            if not page or following != len(items):
                raise self._garbage()
        return items

    # --- one question ---

    def _ask(self, command: str, **arguments: str | int) -> dict[bytes, bytes]:
        box = {b"_ask": b"1", b"_command": command.encode()}
        box |= {name.encode(): str(value).encode() for name, value in arguments.items()}
        self._until = time.monotonic() + self._timeout
        try:
            self._socket.settimeout(self._timeout)
            # Whoever closed a pipe that we print to may end us; the daemon may not.
            self._socket.sendall(wire.encode(box), socket.MSG_NOSIGNAL)
            answer = wire.read(self._exactly)
        except OSError as error:
            raise self._explained(error) from error
        except wire.NotABox:
            raise self._garbage() from None
        if b"_error" in answer:
            raise self._refusal(answer)
        if b"_answer" not in answer:
            raise self._garbage()
        return answer

    def _exactly(self, count: int) -> bytes:
        while len(self._received) < count:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError
            self._received += data
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    # --- what it means ---

    def _document(self, answer: dict[bytes, bytes], name: bytes) -> Document:
        document: Document = self._parsed(answer, name, dict)
        return document

    def _parsed(self, answer: dict[bytes, bytes], name: bytes, kind: type[Any]) -> Any:
        try:
            value = json.loads(answer[name])
        except (KeyError, ValueError, RecursionError):
            raise self._garbage() from None
        if not isinstance(value, kind):
            raise self._garbage()
        return value

    def _refusal(self, answer: dict[bytes, bytes]) -> ClientError:
        code = answer.get(b"_error_code", b"").decode("ascii", "replace")
        said = answer.get(b"_error_description", b"").decode("utf-8", "replace")
        return ClientError(f"overlayd cannot answer: {_ERRORS_OF_AMP.get(code, said):.500}")

    def _garbage(self) -> ClientError:
        return ClientError(
            f"what answers at {self._path!r} is not overlayd, or a version that this overlayctl "
            f"does not understand"
        )

    def _explained(self, error: OSError) -> ClientError:
        path = repr(self._path)
        if isinstance(error, TimeoutError):
            return NoAnswer(f"overlayd at {path} did not answer within {self._timeout:g} s")
        if isinstance(error, BlockingIOError):
            return NoAnswer(f"overlayd at {path} answers no one: too many are waiting")
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            return NotRunning(
                f"overlayd is not running: nothing listens at {path}; "
                f"start it, or name its socket with --control"
            )
        if isinstance(error, PermissionError):
            return NotPermitted(
                f"no permission to open {path}; run overlayctl as the user that runs overlayd"
            )
        if isinstance(error, ConnectionError):
            return ClientError(
                f"overlayd at {path} hung up: it stops, or has too many clients; try again"
            )
        return ClientError(f"cannot ask overlayd at {path}: {error.strerror or error}")
