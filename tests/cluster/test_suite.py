"""Kubernetes' own API server under the suite that the development API server is put under."""

import ssl
from functools import cache

from tests.apiserver.client import ServerUnderTest
from tests.apiserver.suite import lists, refusals, watches, writes
from tests.cluster.plane import NAMESPACE, shared_plane


@cache
def under_test() -> ServerUnderTest:
    plane = shared_plane()
    plane.users.account(NAMESPACE, "suite", "cluster-admin")
    token = plane.users.token(NAMESPACE, "suite")
    return ServerUnderTest(
        plane.url,
        headers={"Authorization": f"Bearer {token}"},
        tls=ssl.create_default_context(cafile=plane.authority.certificate),
        forget_history=plane.forget_history,
    )


class Lists(lists.Lists):
    def server(self) -> ServerUnderTest:
        return under_test()


class Watches(watches.Watches):
    def server(self) -> ServerUnderTest:
        return under_test()


class Writes(writes.Writes):
    def server(self) -> ServerUnderTest:
        return under_test()


class Refusals(refusals.Refusals):
    def server(self) -> ServerUnderTest:
        return under_test()
