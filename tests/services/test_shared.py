"""Many who ask at once cause few calls; nobody gets an answer older than the question."""

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from overlayd.services.shared import Shared


class SharedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.calls: list[Deferred[int]] = []
        self.shared = Shared(self.call)

    def call(self) -> Deferred[int]:
        self.calls.append(Deferred())
        return self.calls[-1]

    def test_one_asks(self) -> None:
        """One who asks gets the answer of a call of its own."""
        for n in range(3):
            answered = self.shared()
            self.calls[n].callback(n)
            self.assertEqual(self.successResultOf(answered), n)

    def test_many_ask(self) -> None:
        """Who asks while a call runs gets the answer of the next, all of them the same."""
        first = self.shared()
        others = [self.shared() for _ in range(64)]
        self.assertEqual(len(self.calls), 1)
        self.calls[0].callback(1)
        self.assertEqual(self.successResultOf(first), 1)
        for other in others:
            self.assertNoResult(other)
        self.calls[1].callback(2)
        self.assertEqual([self.successResultOf(other) for other in others], [2] * 64)
        self.assertEqual(len(self.calls), 2)

    def test_who_asks_again_at_once(self) -> None:
        """An answer that makes someone ask again does not overtake those who wait."""
        again: list[Deferred[int]] = []
        first = self.shared().addCallback(lambda _: again.append(self.shared()))
        waits = self.shared()
        self.calls[0].callback(1)
        self.successResultOf(first)
        self.assertEqual(len(self.calls), 2)
        self.calls[1].callback(2)
        self.assertEqual(self.successResultOf(waits), 2)
        self.calls[2].callback(3)
        self.assertEqual(self.successResultOf(again[0]), 3)

    def test_a_failure(self) -> None:
        """A call that fails fails for those whom it should answer, and the next is made."""
        first, second = self.shared(), self.shared()
        self.calls[0].errback(ZeroDivisionError())
        self.failureResultOf(first, ZeroDivisionError)
        self.calls[1].callback(2)
        self.assertEqual(self.successResultOf(second), 2)

    def test_an_answer_at_once(self) -> None:
        """A call that has its answer already is answered at once."""
        shared = Shared(lambda: succeed(1))
        self.assertEqual([self.successResultOf(shared()) for _ in range(3)], [1, 1, 1])
