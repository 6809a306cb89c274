"""The random part of the chaos run is none: a seed decides everything but the time it takes."""

from itertools import islice

from twisted.trial.unittest import SynchronousTestCase

from chaos import ghosts, schedule
from chaos.resources import DESCRIPTORS, MEMORY, THREADS, Reading, grown
from chaos.run import FAULTS, NODES

ROUNDS = 200
STEPS = 1000


def texts(seed: int) -> list[str]:
    return [str(what) for what in islice(schedule.rounds(seed, FAULTS, NODES), ROUNDS)]


class ScheduleTests(SynchronousTestCase):
    """Which faults come, and whom they hit."""

    def test_a_seed_decides(self) -> None:
        """The same seed gives the same rounds and ghosts, another seed others."""
        self.assertEqual(texts(7), texts(7))
        self.assertNotEqual(texts(7), texts(8))
        self.assertEqual(*(list(islice(ghosts.steps(7), STEPS)) for _ in range(2)))
        one, other = (list(islice(ghosts.steps(seed), STEPS)) for seed in (7, 8))
        self.assertNotEqual(one, other)

    def test_every_fault_comes(self) -> None:
        """All faults come before one comes again for the third time."""
        for seed in range(20):
            seen: dict[str, int] = {}
            for what in schedule.rounds(seed, FAULTS, NODES):
                for deal in what.deals:
                    seen[deal.fault.name] = seen.get(deal.fault.name, 0) + 1
                if max(seen.values()) > 2:
                    break
            self.assertEqual(set(seen), {fault.name for fault in FAULTS})

    def test_bystanders_are_not_harmed(self) -> None:
        """Two nodes of every round are harmed by nothing in it, and no node is hit twice."""
        for seed in range(20):
            for what in islice(schedule.rounds(seed, FAULTS, NODES), ROUNDS):
                hit = [number for deal in what.deals for number in deal.nodes]
                harmed = {number for deal in what.deals for number in deal.harmed}
                self.assertEqual(len(hit), len(set(hit)), str(what))
                self.assertEqual(len(set(what.bystanders) - harmed), 2, str(what))
                self.assertTrue(all(len(d.nodes) == d.fault.places for d in what.deals))

    def test_one_fault_of_the_api_server(self) -> None:
        """The API server is broken in one way at a time, and some faults have a round alone."""
        for what in islice(schedule.rounds(1, FAULTS, NODES), ROUNDS):
            faults = [deal.fault for deal in what.deals]
            self.assertLessEqual(sum(fault.of_server for fault in faults), 1, str(what))
            self.assertTrue(len(faults) == 1 or not any(f.alone for f in faults), str(what))

    def test_ghosts_are_where_they_can_be(self) -> None:
        """A ghost comes where it is away, and goes or changes its key where it is there."""
        there = set(range(ghosts.STANDING))
        for step in islice(ghosts.steps(1), STEPS):
            self.assertEqual(step.number in there, step.verb != "come", str(step))
            if step.verb != "rotate":
                there ^= {step.number}
            self.assertGreaterEqual(len(there), ghosts.STANDING // 2)


class ResourceTests(SynchronousTestCase):
    """When memory, threads and descriptors are flat."""

    def _grown(self, *readings: tuple[float, int, int]) -> list[str]:
        return list(grown([Reading(*reading) for reading in readings]))

    def test_warming_up(self) -> None:
        """What a daemon takes at first, and what it gives back, is no growth."""
        warming = ((10.0, 2, 9), (50.0, 4, 16), (60.0, 4, 16), (60.5, 5, 17))
        self.assertEqual(self._grown(*warming), [])
        self.assertEqual(self._grown(*warming, (60.0, 9, 99), (60.0, 4, 16)), [])

    def test_growing(self) -> None:
        """More than is tolerated of threads, descriptors or memory is growth."""
        warm = [(60.0, 4, 16)] * 4
        most = (60.0 + MEMORY, 4 + THREADS, 16 + DESCRIPTORS)
        self.assertEqual(self._grown(*warm, *[most] * 2), [])
        self.assertEqual(self._grown(*warm, *[(60.1 + MEMORY, 4, 16)] * 2), ["memory"])
        self.assertEqual(self._grown(*warm, *[(60.0, 5 + THREADS, 16)] * 2), ["threads"])
        self.assertEqual(self._grown(*warm, *[(60.0, 4, 17 + DESCRIPTORS)] * 2), ["descriptors"])
