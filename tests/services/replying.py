"""What may answer at the control socket and is not the overlayd that overlayctl knows."""

from twisted.internet.protocol import Protocol

from overlayd.control import wire


class HangsUp(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class _Replying(Protocol):
    reply = b""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(self.reply)


class Garbage(_Replying):
    reply = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class OtherVersion(_Replying):
    reply = wire.encode({b"_answer": b"1", b"status": b'{"format": 99, "version": "9.0"}'})


class KnowsNothing(_Replying):
    reply = wire.encode({b"_error": b"1", b"_error_code": b"UNHANDLED", b"_error_description": b""})
