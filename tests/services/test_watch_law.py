"""The law: whatever is cut at whatever byte, and whatever follows, no known name disappears."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from overlayd.kube.nodes import NodeSession
from overlayd.model.node import Inventory
from overlayd.plan.resume import Cursor, after
from tests.services.scripted import (
    NO_STREAMS,
    SETTINGS,
    Asked,
    Script,
    ScriptedServer,
    Streamed,
    Whole,
    bookmark,
    client,
    event,
    initial_end,
    node,
    page,
    refusal,
    status,
)
from tests.services.session_case import SessionCase

KNOWN = {"a", "größe"}
A, B = node("a"), node("größe", 2)


def watched(version: int) -> list[bytes]:
    """What happens after a version."""
    return [
        event("MODIFIED", node("größe", version + 1, "192.0.2.7")),
        event("ADDED", node("passing", version + 2)),
        b"\n",
        event("DELETED", node("passing", version + 3)),
        bookmark(version + 4),
    ]


def truth(asked: Asked) -> Whole | Streamed:
    """What a server answers whose cluster keeps the known Nodes."""
    query = asked.query
    version = int(query.get("resourceVersion", 10))
    if "sendInitialEvents" in query:
        return Streamed(
            [event("ADDED", A), event("ADDED", B), initial_end(version), *watched(version)]
        )
    if "watch" in query:
        return Streamed(watched(version))
    if "continue" in query:
        return page([B], version)
    return page([A], version, "more")


def cut(position: int, end: str) -> Script:
    """That answer up to some byte, counted from its end; `end` says how it stops."""

    def answer(asked: Asked) -> Whole | Streamed:
        whole = truth(asked)
        if isinstance(whole, Whole):
            kept = whole.body[: -1 - position % len(whole.body)]
            return evolve(whole, body=kept, cut=end == "broken")
        body = b"".join(whole.pieces)
        kept = body[: -1 - position % len(body)]
        return Streamed([kept] if kept else [], end)

    return answer


TOO_LARGE = "ResourceVersionTooLarge"
FAULTS: list[Script] = [
    *(refusal(code) for code in (400, 401, 403, 404, 409, 410, 422, 429, 500, 502, 503, 504)),
    refusal(504, "Too large", TOO_LARGE),
    NO_STREAMS,
    Whole(cut=True),
    *(Whole(body=body) for body in (b"", b"\n", b"{}", b"[]", b"null", b"<html>", b"\xff\n")),
    *(
        Streamed(pieces, end)
        for end in ("clean", "broken")
        for pieces in (
            [],
            [b"\n"],
            [b"no event\n"],
            [b'{"type":"DELETED"}\n'],
            [event("ERROR", status(410))],
            [event("ERROR", status(500))],
            [event("ERROR", status(504, "Too large", TOO_LARGE))],
        )
    ),
]
FOREIGN: list[Script] = [Streamed([line]) for line in (event("DELETED", node("a", 1)), bookmark(3))]
"""Below every version that was seen, so of another history."""

cuts = st.builds(cut, st.integers(0, 5000), st.sampled_from(("clean", "broken")))


faults = st.one_of(st.sampled_from(FAULTS), st.sampled_from(FOREIGN))


class LawTests(SessionCase):
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.one_of(cuts, cuts, faults, st.just(truth)), max_size=8))
    def test_no_name_disappears(self, script: list[Script]) -> None:
        """From the first inventory on, each one has every known name; and the watch recovers."""
        server = ScriptedServer(*script, streams=True)
        try:
            inventories = self.followed(server)
        finally:
            server.close()
        self.assertTrue(inventories)
        for found in inventories:
            self.assertLessEqual(KNOWN, set(found.nodes))
        self.assertEqual(set(inventories[-1].nodes), KNOWN)

    def followed(self, server: ScriptedServer) -> list[Inventory]:
        """Attempt after attempt: through the script, and then until all is well."""
        session, cursor = NodeSession(client(server.url), SETTINGS), Cursor()
        self.reports.clear()
        healthy = 0
        server.then = truth
        while healthy < 4:  # a probe, a list without a version, and watches
            healthy += server.exhausted
            known = self.inventories[-1] if self.inventories else None
            cursor, _ = after(cursor, self.on(session, cursor.attempt, known), 1.0)
        session.abort()
        return self.inventories
