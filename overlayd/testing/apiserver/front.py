"""Where every request comes in: counted, held up if a test wants that, judged, answered."""

from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from overlayd.testing.apiserver.api import NODES, NodesApi, verb_of
from overlayd.testing.apiserver.controls import TESTING, Controls
from overlayd.testing.apiserver.counters import Call, Counters
from overlayd.testing.apiserver.gate import Gate
from overlayd.testing.apiserver.refusals import Refusal, no_such_path
from overlayd.testing.apiserver.tokens import Tokens
from overlayd.testing.apiserver.writing import Answer, abort

VERSION = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.2+overlayd-development",
    "platform": "linux/amd64",
}
HEALTH = ("/healthz", "/livez", "/readyz")


def call_of(request: Request) -> Call:
    """Read what is asked; a parameter given twice counts once, the first time, as in Go."""
    parts = urlsplit(request.uri.decode("latin-1"))
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = dict(reversed(pairs))
    method, path = request.method.decode("latin-1"), unquote(parts.path)
    agent = request.getHeader("User-Agent") or ""
    return Call(verb_of(method, path, query), method, path, query, agent)


@frozen
class Checks:
    """What comes before the answer."""

    gate: Gate
    tokens: Tokens
    counters: Counters


class Front(Resource):
    """The root of the site, and its only resource. `controls` None: /testing/ is not there."""

    isLeaf = True
    log = Logger()

    def __init__(
        self, clock: IReactorTime, checks: Checks, api: NodesApi, controls: Controls | None
    ) -> None:
        super().__init__()
        self._clock = clock
        self._checks = checks
        self._api = api
        self._controls = controls

    def render(self, request: Request) -> int:
        serving = Deferred.fromCoroutine(self._serve(request))
        serving.addErrback(self._broke, request)
        request.notifyFinish().addErrback(lambda _: serving.cancel())
        return NOT_DONE_YET

    async def _serve(self, request: Request) -> None:
        call = call_of(request)
        testing = self._controls is not None and call.path.startswith(TESTING)
        try:
            answer = self._control(call, request) if testing else await self._answer(call, request)
        except Refusal as refusal:
            answer = Answer.refusing(refusal)
        if not testing:
            status = 200 if answer is None else answer.status
            self._checks.counters.answered(call, status, self._clock.seconds())
        if answer is not None:
            answer.write(request)

    def _control(self, call: Call, request: Request) -> Answer | None:
        if self._controls is None:
            raise no_such_path()
        return self._controls.answer(call.method, call.path.removeprefix(TESTING), request)

    async def _answer(self, call: Call, request: Request) -> Answer | None:
        if call.verb:
            self._checks.counters.arrived(call)
        await self._checks.gate.passed(call.verb)
        if call.method == "GET" and call.path in HEALTH:
            return Answer(200, (b"ok",), "text/plain; charset=utf-8")
        if call.method == "GET" and call.path == "/version":
            return Answer.of(VERSION)
        self._checks.tokens.check(request.getHeader("Authorization") or "")
        if call.path != NODES and not call.path.startswith(f"{NODES}/"):
            raise no_such_path()
        return await self._api.answer(call, request)

    def _broke(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("{method} {uri}", failure, method=request.method, uri=request.uri)
            abort(request)
