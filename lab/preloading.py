"""The program behind `lab.preloaded`: it has imported what the lab starts, and forks.

It reads orders from the socket that it was given, until that ends. {"run": ARGUMENTS, "beside":
PROCESS} comes with three open files, and the child answers it once it is in the namespaces of that
process: {"pid": NUMBER}, or {"error": TEXT}. {"reap": NUMBER} is answered with the exit
status of a child that ended.
"""

import atexit
import ctypes
import gc
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

LONGEST = 1 << 16
"""Bytes of an order."""

_ALL_OF_IT = (
    *("overlayd.service", "overlayd.ctl.commands", "overlayd.testing.apiserver.__main__"),
    *("twisted.scripts.twistd", "twisted.scripts._twistd_unix", "twisted.internet.epollreactor"),
    "lab.topology",
)
"""Without the reactor itself: each process needs one of its own."""

_NAMESPACES = {"net": 0x40000000, "uts": 0x04000000, "mnt": 0x00020000}  # linux/sched.h


def main() -> None:
    """Fork for each order; a child goes on as the program that it is to be."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for module in _ALL_OF_IT:
        import_module(module)
    list(getPlugins(IServiceMaker))  # twistd asks them all for their names
    assert "twisted.internet.reactor" not in sys.modules
    gc.freeze()  # children do not look through what was imported
    program = _fork_for_orders(control)
    control.close()
    if program:
        _become(program)


def _fork_for_orders(control: socket.socket) -> list[str]:
    """Return in each child what it has to run, and at the end nothing."""
    while True:
        message, files, _, _ = socket.recv_fds(control, LONGEST, 3)
        if not message:
            return []
        order = json.loads(message)
        if "reap" in order:
            _, status = os.waitpid(order["reap"], 0)
            control.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
        elif os.fork() == 0:
            try:
                _begin(files, order["beside"])
            except OSError as error:
                control.send(json.dumps({"error": str(error)}).encode())
                os._exit(1)
            control.send(json.dumps({"pid": os.getpid()}).encode())
            program: list[str] = order["run"]
            return program
        for file in files:
            os.close(file)


def _begin(files: Sequence[int], beside: int) -> None:
    """Be the leader of a session, with these as standard files, where another process is."""
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    enter(beside)
    # It is ignored where the lab was started in the background of a script.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def enter(pid: int) -> None:
    """Move into the namespaces of a process, and into its root folder.

    A thread that does it must have a root of its own.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    root = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY)
    files = {name: os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in _NAMESPACES}
    for name, file in files.items():
        if libc.setns(file, _NAMESPACES[name]) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"cannot enter {name}: {os.strerror(number)}")
        os.close(file)
    os.fchdir(root)
    os.chroot(".")
    os.close(root)


def _become(program: list[str]) -> NoReturn:
    """Run `python PROGRAM`: a script, or -m and a module, and its arguments; and end as it does.

    But for what Python does last: to take apart what was imported costs more than many a program.
    """
    try:
        _run(program)
        status = 0
    except SystemExit as end:
        status = _status(end)
    except BaseException:
        traceback.print_exc()
        status = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run(program: list[str]) -> None:
    if program[0] == "-m":
        sys.argv = program[1:]
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = program
        runpy.run_path(program[0], run_name="__main__")


def _status(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


if __name__ == "__main__":
    main()
