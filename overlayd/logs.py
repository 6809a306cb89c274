"""What the daemon's log looks like: lines for people, or JSON for machines.

Twisted's own events, tracebacks, warnings and what is printed all come through here. No control
character gets out, and no secret gets in: a private key has no text form.
"""

import io
import json
import math
import signal
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import partial
from typing import IO, Any

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

from overlayd.model.text import printable

chosen: Callable[[], ILogObserver] | None = None
"""What `install` chose. twistd finds its observer by a name, so it has to be somewhere."""

# Names of a JSON line's own, and what the old logging system adds to an event for its observers.
_NOT_FIELDS = {"time", "level", "namespace", "message", "failure"}
_NOT_FIELDS |= {"system", "format", "isError", "why", "logLevel"}


def observer(log_format: str, out: IO[Any] | LogFile) -> ILogObserver:
    """An observer that writes each event of level info and above to `out`.

    `log_format` is "text" or "json".
    """
    lines = partial(_whatever_it_is, _json_line if log_format == "json" else _text_lines)
    levels = LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)
    return FilteringLogObserver(FileLogObserver(out, lines), [levels])  # type: ignore[arg-type]


# --- twistd -------------------------------------------------------------------------------------


def install(twistd: MutableMapping[str, Any] | None, log_format: str) -> None:
    """Make twistd, given its options, log in our format where it would in its own.

    Call it in the `postOptions` of the subcommand, which comes before twistd's own. `--logger` and
    `--syslog` win; `--logfile` says where the log goes, and SIGUSR1 rotates it, as in any twistd.
    """
    global chosen
    if twistd is None or twistd.get("logger") or twistd.get("syslog"):
        return
    chosen = partial(_observer_for, twistd, log_format)
    twistd["logger"] = f"{__name__}.chosen"


def _observer_for(twistd: MutableMapping[str, Any], log_format: str) -> ILogObserver:
    return observer(log_format, _destination(twistd))


def _destination(twistd: MutableMapping[str, Any]) -> IO[Any] | LogFile:
    path: str | None = twistd.get("logfile")
    in_foreground = bool(twistd.get("nodaemon"))
    if path == "-" and not in_foreground:
        raise SystemExit("overlayd: a daemon has no standard output to log to; name a --logfile")
    if path == "-" or (in_foreground and not path):
        if isinstance(sys.stdout, io.TextIOWrapper):
            # An event with a character that the locale lacks is to be logged all the same.
            sys.stdout.reconfigure(errors="backslashreplace")
        return sys.stdout
    log_file: LogFile = LogFile.fromFullPath(path or "twistd.log")
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda number, frame: _rotate(log_file))
    return log_file


def _rotate(log_file: LogFile) -> None:
    from twisted.internet import reactor

    reactor.callFromThread(log_file.rotate)  # type: ignore[attr-defined]


# --- lines --------------------------------------------------------------------------------------


def _whatever_it_is(lines: Callable[[LogEvent], str], event: LogEvent) -> str:
    try:
        return lines(event)
    except Exception as error:  # of any kind: the event's own values raise them
        kind = type(error).__name__
        return lines(
            {
                "log_level": event.get("log_level", LogLevel.error),
                "log_format": "an event that cannot be shown: {kind}",
                "kind": kind,
            }
        )


def _text_lines(event: LogEvent) -> str:
    """`time level namespace: message`, then the traceback, indented, if there is one."""
    where = _namespace(event).rpartition(".")[2]
    lines = f"{_time(event)} {_level(event)} {where}: {printable(_message(event))}\n"
    failure = _failure(event)
    if failure is not None:
        # Indented, or a line of an exception's text could pass for an event of its own.
        for line in failure.getTraceback().rstrip("\n").split("\n"):
            lines += f"    {printable(line)}\n"
    return lines


def _json_line(event: LogEvent) -> str:
    line: dict[str, Any] = {
        "time": _time(event),
        "level": _level(event),
        "namespace": _namespace(event),
        "message": _message(event),
    }
    for name, value in event.items():
        if not name.startswith("log_") and name not in _NOT_FIELDS:
            line[name] = _plain(value)
    failure = _failure(event)
    if failure is not None:
        kind = failure.type or type(failure.value)
        line["failure"] = {
            "type": f"{kind.__module__}.{kind.__qualname__}",
            "message": failure.getErrorMessage(),
            "traceback": failure.getTraceback(),
        }
    return json.dumps(line, allow_nan=False) + "\n"


def _plain(value: object) -> Any:
    """What JSON can say, and text for the rest: a change, an address, an exception."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isfinite(value):
        return value
    try:
        return str(value)
    except Exception:  # of any kind: it is the value's own method
        return f"({type(value).__name__} that cannot be shown)"


def _time(event: LogEvent) -> str:
    stamp = event.get("log_time")
    at = datetime.now(UTC) if stamp is None else datetime.fromtimestamp(stamp, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(event: LogEvent) -> str:
    level = event.get("log_level")
    return "info" if level is None else level.name


def _namespace(event: LogEvent) -> str:
    return printable(str(event.get("log_namespace") or "-"))


def _message(event: LogEvent) -> str:
    if "log_failure" not in event and _failure(event) is not None:
        return str(event.get("why") or "Unhandled Error")
    return formatEvent(event)


def _failure(event: LogEvent) -> Failure | None:
    """The failure of an event, also of one from the old logging system."""
    failure = event.get("log_failure", event.get("failure"))
    return failure if isinstance(failure, Failure) else None
