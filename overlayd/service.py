"""The top: `twistd overlayd` starts here, and one function builds and wires everything."""

import ctypes
import sys
import time
from functools import partial
from typing import Any

from twisted.application.service import IService, MultiService

from overlayd.control.responders import Answers
from overlayd.control.service import ControlService
from overlayd.kube.nodes import NodeSession
from overlayd.kube.own_node import withdraw_annotations, write_annotations
from overlayd.kube.transport.api import ApiServer
from overlayd.linux.network import Network
from overlayd.model.errors import OverlaydError
from overlayd.options import Configuration, Options
from overlayd.passes import preview, run_pass
from overlayd.services.announcer import Announcer
from overlayd.services.handshakes import Handshakes
from overlayd.services.history import History
from overlayd.services.kernel_events import KernelEvents
from overlayd.services.left_out import LeftOut
from overlayd.services.manager import PeerManager
from overlayd.services.reporting import Reporting
from overlayd.services.retries import back_off
from overlayd.services.shared import Shared
from overlayd.services.teardown import Teardown
from overlayd.services.thread import OneThread
from overlayd.services.watch import NodeWatch, Pace
from overlayd.teardown import take_down
from overlayd.tunnel import wireguard_go
from overlayd.tunnel.chosen import ChosenTunnel

__all__ = ["Options", "makeService"]

_M_MMAP_THRESHOLD = -3  # malloc.h


class Overlayd(MultiService):
    """The daemon. What keeps it from starting is one line on stderr, and status 1."""

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except OverlaydError as error:
            # twistd has put its log in the place of sys.stderr by now.
            if sys.__stderr__ is not None:
                sys.__stderr__.write(f"overlayd: {error}\n")
            raise SystemExit(1) from None


def makeService(options: Options) -> IService:
    """Build the daemon for twistd. Opens nothing: no socket, no thread, no netlink."""
    from twisted.internet import reactor

    # The reactor's clock is the wall clock, and a clock set back an hour would stop every timer for
    # an hour. It is one attribute, read at each use, and no timer of ours is made yet.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    _give_back_large_buffers()
    return build(reactor, options.configuration)


def build(reactor: Any, configuration: Configuration) -> MultiService:
    """Build and wire the daemon. `reactor` provides what Twisted's does; its clock is monotonic."""
    settings = configuration.settings
    start = wireguard_go.wait_for if settings.external else wireguard_go.start
    network, tunnel = Network(), ChosenTunnel(settings.wg_dev, settings.tunnel, start)
    writes = ApiServer(configuration.access)
    machine = OneThread(reactor, "machine", interrupt=tunnel.interrupt)
    reader = OneThread(reactor, "node-watch")
    writer = OneThread(reactor, "api-writes", interrupt=writes.abort)

    manager = PeerManager(
        reactor, time.time, machine.call, partial(run_pass, network, tunnel, settings), back_off()
    )
    announcer = Announcer(
        reactor,
        settings,
        lambda values: writer.call(write_annotations, writes, settings.node_name, values),
        back_off(),
    )
    handshakes = Handshakes(reactor, lambda changes: machine.call(tunnel.apply, changes))
    session = NodeSession(ApiServer(configuration.access), settings)
    watch = NodeWatch(reactor, reader.call, session, manager.take, Pace.jittered())
    events = KernelEvents(reactor, settings.wg_dev, settings.networks, manager.kernel_announced)
    teardown = Teardown(
        reactor,
        manager,
        announcer,
        (handshakes, events, watch),
        lambda key, until: writer.call(
            withdraw_annotations, writes, settings.node_name, key, until
        ),
        lambda names: machine.call(take_down, network, tunnel, settings.wg_dev, names),
    )
    reporting = Reporting(reactor, settings, watch, manager, announcer, lambda: teardown.state)
    history = History()
    answers = Answers(
        status=reporting.status,
        peers=reporting.peers,
        resync=manager.resync,
        confirm=manager.confirm,
        plan=Shared(partial(manager.preview, partial(preview, network, tunnel, settings))),
        history=lambda: history.passes,
        teardown=teardown.run,
    )
    control = ControlService(reactor, configuration.control, answers)

    manager.on_pass(lambda result: handshakes.after_pass(result))
    manager.on_pass(lambda result: announcer.after_pass(result))
    manager.on_pass(LeftOut().after_pass)
    manager.on_report(lambda _: reporting.note_state())
    manager.on_report(history.note)

    # They start in this order and stop in the other one: threads outlive those who call them.
    daemon = Overlayd()
    for thread in (machine, reader, writer):
        thread.setServiceParent(daemon)
    for service in (control, manager, handshakes, announcer, events, watch):
        service.setServiceParent(daemon)
    return daemon


def _give_back_large_buffers() -> None:
    """Let the C library return buffers above 128 KiB to the kernel as soon as they are free.

    glibc does so until the first is freed, and then keeps larger and larger ones (mallopt(3)):
    pages of Nodes and readings of the tunnel would stay as 8 MiB of holes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 128 * 1024)
