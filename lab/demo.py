"""The demo: a mesh forms, grows, shrinks, is broken and repairs itself, and nothing leaks.

`./demo` installs what it needs and runs it: python -m lab.demo [--hold]
"""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from lab import private
from lab.eventually import CLUSTER, FORMING, REPAIR, REPAIR_UNANNOUNCED, eventually, eventually_none
from lab.flow import RATE, Flow
from lab.mesh import Member, Mesh
from lab.namespaces import Namespace
from lab.pinging import pings
from lab.show import Show
from overlayd.model.keys import PrivateKey, PublicKey


class Demo:
    """The steps, in their order. Each prints what it does and checks that it held."""

    def __init__(self, mesh: Mesh, show: Show) -> None:
        self._mesh = mesh
        self._show = show
        self._plaintext_before = 0

    def steps(self) -> tuple[Callable[[], None], ...]:
        return (
            self.the_capture_sees_plaintext,
            self.a_mesh_forms,
            self.pods_talk,
            self.a_node_joins,
            self.a_node_leaves,
            self.a_device_is_deleted,
            self.a_key_is_replaced,
            self.a_daemon_is_killed,
        )

    def the_capture_sees_plaintext(self) -> None:
        self._show.step("The capture on the underlay sees an unencrypted packet, before any mesh")
        one, two, _ = (self._mesh.add_machine(number) for number in (1, 2, 3))
        pings(one.node.namespace, two.pod.address)
        counts = self._mesh.capture.counts()
        for sample in counts.samples:
            self._show.say(f"seen in the clear: {sample}")
        self._show.check("one plaintext packet was sent, and seen", counts.plaintext == 1)
        self._plaintext_before = counts.plaintext

    def a_mesh_forms(self) -> None:
        self._show.step("Three nodes form a mesh")
        with self._show.timed("from starting the daemons to every pod reaching every other"):
            for member in self._mesh.members.values():
                self._mesh.cluster.create(member.node)
                member.daemon.start()
            self._mesh.wait_until_whole(FORMING)
        self._show.table(
            ("node", "underlay", "overlay", "pods", "public key"),
            [
                (
                    member.name,
                    str(member.node.address),
                    str(member.node.overlay_address),
                    str(member.node.pod_cidr),
                    str(self._key(member)),
                )
                for member in self._mesh.members.values()
            ],
        )

    def pods_talk(self) -> None:
        self._show.step("Pods ping each other across nodes")
        members = list(self._mesh.members.values())
        rows = []
        for source in members:
            row = [source.pod.name]
            for destination in members:
                row.append(
                    "-" if source is destination else _round_trip(source, destination) or "lost"
                )
            rows.append(row)
        self._show.table(("from \\ to", *(member.pod.name for member in members)), rows)
        self._show.check(
            "every ping was answered", not any("lost" in column for row in rows for column in row)
        )

    def a_node_joins(self) -> None:
        self._show.step("A fourth node joins")
        four = self._mesh.add_machine(4)
        with self._show.timed("from creating its Node to every pod reaching every other"):
            self._mesh.cluster.create(four.node)
            four.daemon.start()
            self._mesh.wait_until_whole(FORMING)

    def a_node_leaves(self) -> None:
        self._show.step("A node leaves: its Node is deleted, and it is switched off")
        key = self._key(self._mesh.members[4])
        with self._show.timed("from deleting its Node to no device having it as a peer"):
            self._mesh.cluster.delete(self._mesh.members[4].name)
            self._mesh.remove_machine(4)
            self._wait_until_forgotten(key, CLUSTER)
        self._whole("the others still reach each other", CLUSTER)

    def a_device_is_deleted(self) -> None:
        one = self._mesh.members[1]
        self._show.step(f"Someone deletes a device: ip link del wg0 on {one.name}")
        key = self._key(one)
        with self._show.timed("from deleting it to every path working again"):
            one.run("ip", "link", "del", "wg0")
            eventually_none(REPAIR, "no path is broken", self._mesh.broken_paths)
        self._show.check("it is back with the same key", self._key(one) == key)

    def a_key_is_replaced(self) -> None:
        two = self._mesh.members[2]
        self._show.step(f"An operator gives {two.name}'s device a new key")
        before, new = self._key(two), PrivateKey.generate()
        with self._show.timed("from the new key to the old peer gone and every path working"):
            two.daemon.device.rotate(new)
            self._wait_until_forgotten(before, REPAIR_UNANNOUNCED + CLUSTER)
            eventually_none(CLUSTER, "no path is broken", self._mesh.broken_paths)
        self._show.check("the new key was taken", self._key(two) == new.public())

    def a_daemon_is_killed(self) -> None:
        one, three = self._mesh.members[1], self._mesh.members[3]
        self._show.step(
            f"{one.name}'s daemon is killed (SIGKILL) and started again, under {RATE} packets/s"
        )
        with Flow(one.pod, three.pod) as flow:
            flow.carry()
            one.daemon.kill()
            self._show.say(f"killed; packets between {one.pod.name} and {three.pod.name} flow on")
            flow.carry()
            with self._show.timed("from starting it to ready"):
                one.daemon.start()
                eventually(FORMING, "it is ready", one.daemon.ready)
            flow.carry()
            there, back = flow.finish()
        self._show.check(f"there: {there}", there.sent > 0 and not there.lost)
        self._show.check(f"back: {back}", back.sent > 0 and not back.lost)

    def nothing_leaked(self) -> str:
        """Check what the capture saw since the mesh began; say it."""
        self._show.step("What the capture saw since the mesh began to form")
        counts = self._mesh.capture.counts()
        leaked = counts.plaintext - self._plaintext_before
        for sample in counts.samples[self._plaintext_before :]:
            self._show.say(f"seen in the clear: {sample}")
        self._show.check(f"{counts.encrypted} encrypted packets", counts.encrypted > 0)
        self._show.check(f"{counts.missed} packets escaped the capture", counts.missed == 0)
        self._show.check(f"{leaked} plaintext packets", leaked == 0)
        return f"{leaked} plaintext packets"

    def _key(self, member: Member) -> PublicKey | None:
        reading = member.daemon.device.read()
        return reading.key if reading else None

    def _whole(self, text: str, limit: float) -> None:
        with self._show.timed(text):
            eventually_none(limit, "no path is broken", self._mesh.broken_paths)

    def _wait_until_forgotten(self, key: PublicKey | None, limit: float) -> None:
        def holders() -> list[str]:
            readings = {m.name: m.daemon.device.read() for m in self._mesh.members.values()}
            return [name for name, reading in readings.items() if reading and key in reading.peers]

        eventually_none(limit, "no device has it as a peer", holders)


def _round_trip(source: Member, destination: Member) -> str | None:
    """The time of one ping from pod to pod, as ping(8) prints it; None where it was lost."""
    ping = source.pod.namespace.attempt("ping", "-c1", "-W1", str(destination.pod.address))
    time = re.search(r"time=(\S+ ms)", ping.stdout)
    return time[1] if time else None


def _hold(mesh: Mesh, show: Show) -> None:
    show.step("The mesh stays up until Ctrl-C")
    overlayctl = Path(sys.executable).with_name("overlayctl")
    for member in mesh.members.values():
        enter = Namespace.enter(private.outer_pid(member.node.namespace.pid))
        show.say(f"{member.name}: sudo {' '.join(enter)} {overlayctl} status")
    show.say("bash in place of overlayctl is a shell there; the daemon's log is /run/overlayd.log.")
    signal.pause()


def _perform(hold: bool) -> int:
    show = Show()
    mesh = Mesh()
    demo = Demo(mesh, show)
    try:
        mesh.cluster.start()
        for step in demo.steps():
            step()
    except AssertionError as error:
        if not show.failed:
            show.broke(str(error))
        for member in mesh.members.values():
            show.say(f"the last that {member.name} logged:")
            for line in member.daemon.log().splitlines()[-10:]:
                show.say(f"  {line}")
    outcome = demo.nothing_leaked()
    show.end(outcome)
    if hold:
        _hold(mesh, show)
    return 1 if show.failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.splitlines()[0])
    parser.add_argument("--hold", action="store_true", help="keep the mesh up until Ctrl-C")
    arguments = parser.parse_args()
    if not private.inside() and os.geteuid() == 0:
        return private.run([sys.executable, "-m", "lab.demo", *sys.argv[1:]], os.environ)
    missing = private.missing()
    if missing:
        sys.exit(f"demo: {missing}")
    try:
        return _perform(arguments.hold)
    except KeyboardInterrupt:
        sys.stdout.write("\ndemo: ended; nothing of it is left\n")  # it all ends with this process
        return 130


if __name__ == "__main__":
    sys.exit(main())
