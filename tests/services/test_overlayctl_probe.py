"""`overlayctl status --ready` as probes run it: it is cheap, and agrees with the whole tool."""

import sys

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from overlayd.control.service import ControlService
from overlayd.ctl.readiness import Probe, probe
from overlayd.model.places import DEFAULT_CONTROL
from overlayd.model.status import State, StateName, Status
from tests.services.answers import answers
from tests.services.overlayctl_case import OVERLAYCTL, OverlayctlTestCase
from tests.services.replying import Garbage, HangsUp, KnowsNothing, OtherVersion
from tests.statuses import ORDINARY, TROUBLED

AS_PROBES = ("status", "--ready", "--timeout", "1")
BY_CLICK = ("status", "--timeout", "1", "--ready")
HEAVY = {"attr", "click", "msgspec", "nacl", "rich", "twisted"}


class UnderstoodTests(SynchronousTestCase):
    def test_the_default(self) -> None:
        """Without more it asks at the default socket, for the time that status has."""
        self.assertEqual(probe(["status", "--ready"], {}), Probe(DEFAULT_CONTROL, 10))

    def test_given(self) -> None:
        """The socket comes from the environment or the option, which wins, and the time too."""
        environ = {"OVERLAYD_CONTROL": "/e"}
        self.assertEqual(probe(["status", "--ready"], environ), Probe("/e", 10))
        line = ["--control", "/o", "status", "--ready", "--timeout", "86400"]
        self.assertEqual(probe(line, environ), Probe("/o", 86_400))

    def test_everything_else(self) -> None:
        """Whatever else there is, click judges."""
        ready = ["status", "--ready"]
        for line in (
            [],
            ["status"],
            ["--help"],
            ["-h", *ready],
            [*ready, "-o", "json"],
            [*ready, "--help"],
            [*ready, "--timeout"],
            [*ready, "--timeout", "0"],
            [*ready, "--timeout", "86401"],
            [*ready, "--timeout", "9" * 5_000],
            [*ready, "--timeout", "\u0661"],
            [*ready, "--timeout", "-1"],
            [*ready, "--timeout", "1", "--timeout", "2"],
            ["--control", *ready],
            ["--control=/o", *ready],
            ["peers", "--ready"],
        ):
            self.assertIsNone(probe(line, {}), line)


class ProbeTests(OverlayctlTestCase):
    def serve(self) -> None:
        self.status: Status = ORDINARY
        chosen = answers(status=lambda: self.status)
        service = ControlService(reactor, str(self.path), chosen)
        service.startService()
        self.addCleanup(service.stopService)

    async def both(self, *before: str) -> tuple[int, str, str]:
        """How a probe ends and what it prints; what click makes of the same has to be the same."""
        ways = [
            Deferred.fromCoroutine(self.overlayctl(*before, *way)) for way in (AS_PROBES, BY_CLICK)
        ]
        done = [each for _, each in await DeferredList(ways, fireOnOneErrback=True)]
        ends = [(each.returncode, each.stdout, each.stderr) for each in done]
        self.assertEqual(ends[0], ends[1])
        return ends[0]

    async def imported(self, *arguments: str) -> set[str]:
        """The packages that a run of overlayctl imports."""
        self.environ["PYTHONPROFILEIMPORTTIME"] = "1"
        done = await self.overlayctl(*arguments)
        names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        self.assertIn("overlayd.control.client", names)
        return {name.partition(".")[0] for name in names}

    async def test_light(self) -> None:
        """A probe imports neither click nor what the daemon needs."""
        self.serve()
        self.assertEqual(HEAVY & await self.imported("status", "--ready"), set())
        self.assertEqual(
            HEAVY & await self.imported("--control", str(self.path), *AS_PROBES), set()
        )

    async def test_the_rest_is_light_too(self) -> None:
        """A whole status for a pipe needs click, and nothing that the daemon needs."""
        self.serve()
        self.assertEqual(HEAVY & await self.imported("status"), {"click"})

    async def test_every_state(self) -> None:
        """Ready or not, it is the same as the whole tool says, in every state."""
        self.serve()
        for name in StateName:
            self.status = evolve(ORDINARY, state=State(name, "because"), ready=False)
            end = (5, f"not ready: {name.value}: because\n", "")
            self.assertEqual(await self.both(), end)
        self.status = evolve(TROUBLED, ready=True)
        self.assertEqual(await self.both(), (0, "ready\n", ""))

    async def test_the_api_server_is_named(self) -> None:
        """What keeps the Nodes from being read is part of why it is not ready."""
        self.serve()
        self.status = evolve(TROUBLED, state=State(StateName.STARTING, "no inventory yet"))
        why = "API server not watched: connection refused"
        end = (5, f"not ready: starting: no inventory yet; {why}\n", "")
        self.assertEqual(await self.both(), end)

    async def test_no_answer(self) -> None:
        """Without a daemon, or with something else in its place, both say the same."""
        self.assertEqual((await self.both())[0], 3)
        self.assertEqual((await self.both("--control", "/x" * 100))[0], 1)
        for protocol, code in (
            (Protocol, 7),
            (HangsUp, 1),
            (Garbage, 1),
            (KnowsNothing, 1),
            (OtherVersion, 1),
        ):
            port = reactor.listenUNIX(str(self.path), Factory.forProtocol(protocol))  # type: ignore[attr-defined]
            try:
                self.assertEqual((await self.both())[0], code)
            finally:
                await port.stopListening()

    async def test_closed_output(self) -> None:
        """A probe whose output nobody takes ends with its code all the same."""
        self.serve()
        command = f"{sys.executable} -m overlayd.ctl.main status --ready >&-"
        self.assertEqual((await self.run_it("sh", "-c", command)).returncode, 0)

    async def test_full_disk(self) -> None:
        """Output that cannot be written is an error of one line."""
        self.serve()
        with open("/dev/full", "w") as full:
            done = await self.run_it(*OVERLAYCTL, "status", "--ready", stdout=full)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
