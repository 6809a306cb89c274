"""Runs the development API server until SIGTERM or SIGINT (status 0).

It prints one line, "listening on URL ...", when it is ready. What cannot work ends with one line
on standard error and status 1.
"""

import sys
from collections.abc import Sequence

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorCore, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.failure import Failure
from twisted.python.usage import UsageError

from overlayd.testing.apiserver.options import ServerOptions
from overlayd.testing.apiserver.server import DevelopmentApiServer


class _UntilClosed(Protocol):
    """Stops the reactor at the end of standard input."""

    def __init__(self, reactor: IReactorCore) -> None:
        self._reactor = reactor

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._reactor.running:
            self._reactor.stop()


async def serve(reactor: IReactorCore, options: ServerOptions) -> str:
    """Listen everywhere, and tell where.

    :raises CannotListenError: a place is taken, or not of this machine.
    :raises OSError: a file cannot be read or written.
    """
    server = DevelopmentApiServer(IReactorTime(reactor), options.behaviour())
    tls, urls = options.tls(), []
    for place in options.places:
        port = await place.endpoint(reactor, tls).listen(server.site)
        urls.append(place.url(port, tls))
    return f"listening on {' '.join(urls)}"


async def _begin(reactor: IReactorCore, options: ServerOptions, failures: list[str]) -> None:
    try:
        line = await serve(reactor, options)
    except (CannotListenError, OSError, ValueError, ImportError) as error:
        failures.append(str(error))
        reactor.callWhenRunning(reactor.stop)
        return
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    if options["until-stdin-closes"]:
        from twisted.internet.stdio import StandardIO

        StandardIO(_UntilClosed(reactor), reactor=reactor)


def main(arguments: Sequence[str]) -> int:
    """Run with a command line and return the exit status."""
    options = ServerOptions()
    try:
        options.parseOptions(list(arguments))
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    warnings = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [warnings])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    failures: list[str] = []
    Deferred.fromCoroutine(_begin(reactor, options, failures))
    reactor.run()
    for failure in failures:
        sys.stderr.write(f"{failure}\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
