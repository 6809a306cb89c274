"""Who may ask: whoever has one of the bearer tokens, or anyone where none is configured."""

from collections.abc import Iterable

from overlayd.testing.apiserver.refusals import Refusal


class Tokens:
    def __init__(self, accepted: Iterable[str] = ()) -> None:
        self._accepted = frozenset(accepted)

    def accept(self, tokens: Iterable[str]) -> None:
        """Take these from now on, and no other."""
        self._accepted = frozenset(tokens)

    def check(self, authorization: str) -> None:
        """Judge an Authorization header ("" for none).

        :raises Refusal: 401.
        """
        scheme, _, token = authorization.partition(" ")
        if self._accepted and (scheme.lower() != "bearer" or token not in self._accepted):
            raise Refusal(401, "Unauthorized")
