"""A whole run: the mesh, the ghosts, round after round until the time is over, and the tables."""

import time
from traceback import format_exception

from chaos import cluster_faults, daemon_faults, device_faults, schedule, server_faults
from chaos.fault import Stage
from chaos.ghosts import Ghosts
from chaos.health import complaints
from chaos.perform import Performance
from chaos.resources import Resources
from chaos.tally import COLUMNS, Tally
from lab.eventually import FORMING
from lab.mesh import Mesh
from lab.show import Show

FAULTS = (
    *server_faults.FAULTS,
    *daemon_faults.FAULTS,
    *device_faults.FAULTS,
    *cluster_faults.FAULTS,
)

NODES = (1, 2, 3, 4, 5)

_LOG_LINES = 30


class Run:
    """What one seed does to one mesh."""

    def __init__(self, seed: int, show: Show) -> None:
        self._seed = seed
        self._show = show
        self._mesh = Mesh()
        self._ghosts = Ghosts(self._mesh.cluster, seed)
        self._tally = Tally()
        self._performance = Performance(Stage(self._mesh, self._ghosts), self._tally)
        self._resources = Resources()
        self._rounds: list[schedule.Round] = []

    def perform(self, seconds: float) -> bool:
        """Break the mesh for that long, and end everything; whether all held."""
        self._show.step(f"Five nodes and their ghosts form a mesh; seed {self._seed}")
        try:
            with self._show.timed("from starting the daemons to every pod reaching every other"):
                self._form()
            self._show.step(f"Faults for {seconds:g} s")
            self._ghosts.start()
            try:
                self._break(seconds)
            finally:
                self._ghosts.stop()
            self._judge()
        except Exception as error:  # whatever it was, its seed and its rounds are needed
            self._explain(error)
        finally:
            self._conclude()
            self._mesh.close()
        return not self._show.failed

    def _form(self) -> None:
        self._mesh.cluster.start()
        self._ghosts.create()
        self._mesh.join(*NODES)
        self._mesh.wait_until_whole(FORMING)
        self._performance.wait_until_whole(FORMING)

    def _break(self, seconds: float) -> None:
        began = time.monotonic()
        for what in schedule.rounds(self._seed, FAULTS, NODES):
            if time.monotonic() - began >= seconds:
                return
            self._rounds.append(what)
            self._show.say(f"{time.monotonic() - began:6.1f} s  {what}")
            self._performance.perform(what)
            for member in self._mesh.members.values():
                self._resources.read(member)

    def _judge(self) -> None:
        for member in self._mesh.members.values():
            for line in complaints(member):
                self._show.broke(f"{member.name}: {line}")
        for growth in self._resources.grown():
            self._show.broke(growth)

    def _explain(self, error: Exception) -> None:
        known = isinstance(error, AssertionError)
        self._show.broke(str(error) if known else "".join(format_exception(error)))
        for member in self._mesh.members.values():
            self._show.say(f"the last that {member.name} logged:")
            for line in member.daemon.log().splitlines()[-_LOG_LINES:]:
                self._show.say(f"  {line}")
        self._show.say("all that was done:")
        for what in self._rounds:
            self._show.say(f"  {what}")
        self._show.say(f"the same again: sudo ./demo chaos --seed {self._seed} --minutes 60")

    def _conclude(self) -> None:
        self._show.step("What it came to")
        self._show.table(COLUMNS, self._tally.rows())
        self._show.table(("daemon of", "readings", "warm", "at its end"), self._resources.rows())
        counts = self._mesh.capture.counts()
        self._show.end(
            f"seed {self._seed}: {len(self._rounds)} rounds, {self._ghosts.steps} steps of ghosts; "
            f"bystanders lost {self._tally.bystanders_lost} of {self._tally.bystanders_sent} "
            f"packets; {counts.plaintext} plaintext, {counts.encrypted} encrypted"
        )
