"""Who we are and whom we trust: kubeconfigs, the cluster's own files, certificates and tokens."""

import os
from pathlib import Path

from overlayd.kube.config.access import find_access
from overlayd.model.errors import KubeConfigError, Unreachable
from tests.services.api_parts import ReachingTestCase, embedded, kubeconfig
from tests.services.certificates import Authority


class TrustTests(ReachingTestCase):
    """TLS: whom we trust and what we show."""

    def test_embedded(self) -> None:
        """Certificates and a key that are embedded are used, and no descriptor keeps them."""
        self.server.tls = self.pair.server_tls(self.folder, self.authority.certificate)
        client = self.authority.issue("node-a")
        user = {
            "client-certificate-data": embedded(client.certificate),
            "client-key-data": embedded(client.key),
        }
        api = self.reach(kubeconfig(self.server.url, self.trusting, user))
        self.assertEqual(api.get("/version").status, 200)
        self.assertEqual(self.server.requests[0].client, "node-a")
        held = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
        self.assertEqual([name for name in held if "memfd:" in name], [])

    def test_relative_files(self) -> None:
        """Paths in a kubeconfig are relative to its folder, not to where the daemon runs."""
        self.server.tls = self.pair.server_tls(self.folder, self.authority.certificate)
        client = self.authority.issue("node-a")
        self.write("pki/ca.crt", self.authority.certificate)
        self.write("pki/client.crt", client.certificate)
        self.write("pki/client.key", client.key)
        self.write("pki/token", "secret")
        cluster = {"certificate-authority": "pki/ca.crt"}
        user = {
            "client-certificate": "pki/client.crt",
            "client-key": "./pki/client.key",
            "tokenFile": "pki/token",
        }
        api = self.reach(kubeconfig(self.server.url, cluster, user))
        self.assertEqual(api.get("/version").status, 200)
        self.assertEqual(self.server.requests[0].client, "node-a")
        self.assertEqual(self.server.requests[0].headers["authorization"], "Bearer secret")

    def test_unknown_authority(self) -> None:
        """A server whose certificate another authority signed gets no request."""
        cluster = {"certificate-authority-data": embedded(Authority("other").certificate)}
        api = self.reach(kubeconfig(self.server.url, cluster, {"token": "secret"}))
        error = self.assertRaises(Unreachable, api.get, "/version")
        self.assertIn("not trusted", str(error))
        self.assertEqual(self.server.requests, [])

    def test_insecure(self) -> None:
        """insecure-skip-tls-verify asks nothing of the server's certificate."""
        api = self.reach(kubeconfig(self.server.url, {"insecure-skip-tls-verify": True}))
        self.assertEqual(api.get("/version").status, 200)

    def test_server_name(self) -> None:
        """tls-server-name, not the address that is dialled, is looked for in the certificate."""
        pair = self.authority.issue("server", "kube.example")
        self.server.tls = pair.server_tls(self.folder)
        named = {**self.trusting, "tls-server-name": "kube.example"}
        self.assertEqual(self.reach(kubeconfig(self.server.url, named)).get("/").status, 200)
        unnamed = self.reach(kubeconfig(self.server.url, self.trusting))
        self.assertRaises(Unreachable, unnamed.get, "/")

    def test_intermediate_as_root(self) -> None:
        """A certificate that is trusted as a root need not have signed itself, as in Go."""
        cluster = {"certificate-authority-data": embedded(self.pair.certificate)}
        self.assertEqual(self.reach(kubeconfig(self.server.url, cluster)).get("/").status, 200)

    def test_authority_rotated(self) -> None:
        """A new authority on disk is trusted at the next connection."""
        self.write("ca.crt", self.authority.certificate)
        api = self.reach(kubeconfig(self.server.url, {"certificate-authority": "ca.crt"}))
        self.assertEqual(api.get("/").status, 200)
        other = Authority("other")
        self.server.tls = other.issue("server", "127.0.0.1").server_tls(self.folder)
        self.write("ca.crt", other.certificate)
        self.assertEqual(api.get("/").status, 200)
        self.assertEqual([r.connection for r in self.server.requests], [0, 1])

    def test_client_certificate_rotated(self) -> None:
        """A new client certificate is shown once its key is there too; until then the old one."""
        self.server.tls = self.pair.server_tls(self.folder, self.authority.certificate)
        old, new = self.authority.issue("old"), self.authority.issue("new")
        self.write("client.crt", old.certificate)
        self.write("client.key", old.key)
        user = {"client-certificate": "client.crt", "client-key": "client.key"}
        api = self.reach(kubeconfig(self.server.url, self.trusting, user))
        api.get("/")
        self.write("client.crt", new.certificate)
        api.get("/")
        self.write("client.key", b"-----BEGIN PRIV")
        api.get("/")
        self.write("client.key", new.key)
        api.get("/")
        self.assertEqual([r.client for r in self.server.requests], ["old", "old", "old", "new"])

    def test_nothing_changed(self) -> None:
        """Requests share one connection while nothing changes."""
        api = self.reach(kubeconfig(self.server.url, self.trusting))
        for _ in range(3):
            api.get("/")
        self.assertEqual({r.connection for r in self.server.requests}, {0})


class IdentityTests(ReachingTestCase):
    """Tokens, passwords, impersonation, and where they are not sent."""

    def authorization(self) -> list[str]:
        return [r.headers.get("authorization", "") for r in self.server.requests]

    def test_token_file_rotated(self) -> None:
        """A token swapped behind a symlink is sent next, though its size and time are the same."""
        for version, token in (("1", "first\n"), ("2", "other\n")):
            os.utime(self.write(f"{version}/token", token), (0, 0))
        (self.folder / "data").symlink_to("1")
        user = {"tokenFile": "data/token"}
        api = self.reach(kubeconfig(self.server.url, self.trusting, user))
        api.get("/")
        (self.folder / "new").symlink_to("2")
        (self.folder / "new").replace(self.folder / "data")
        api.get("/")
        self.assertEqual(self.authorization(), ["Bearer first", "Bearer other"])
        self.assertEqual([r.connection for r in self.server.requests], [0, 0])

    def test_token_file_half_written(self) -> None:
        """A token file that is empty, away or not text changes nothing until it is whole again."""
        file = self.write("token", "first")
        user = {"tokenFile": "token"}
        api = self.reach(kubeconfig(self.server.url, self.trusting, user))
        api.get("/")
        for content in (b"", b"\xff\xfe", b"a\x00b", None, b"second"):
            if content is None:
                file.unlink()
            else:
                self.write("token", content)
            api.get("/")
        self.assertEqual(self.authorization(), ["Bearer first"] * 5 + ["Bearer second"])

    def test_kubeconfig_rewritten(self) -> None:
        """A kubeconfig that is written anew is taken up, one that is half-written is not."""
        config = kubeconfig(self.server.url, self.trusting, {"token": "first"})
        api = self.reach(config)
        api.get("/")
        self.write("config", config[: len(config) // 2])
        api.get("/")
        self.write("config", kubeconfig(self.server.url, self.trusting, {"token": "second"}))
        api.get("/")
        self.assertEqual(self.authorization(), ["Bearer first", "Bearer first", "Bearer second"])

    def test_password(self) -> None:
        """A user name and password are sent as HTTP basic authentication."""
        user = {"username": "me", "password": "Ünsafe"}
        self.reach(kubeconfig(self.server.url, self.trusting, user)).get("/")
        self.assertEqual(self.authorization(), ["Basic bWU6w5xuc2FmZQ=="])

    def test_impersonation(self) -> None:
        """Whom a user impersonates stands in the headers that Kubernetes has for it."""
        user = {
            "token": "t",
            "as": "boss",
            "as-groups": ["g"],
            "as-user-extra": {"a/b": ["x"]},
        }
        self.reach(kubeconfig(self.server.url, self.trusting, user)).get("/")
        headers = self.server.requests[0].headers
        names = ("user", "group", "extra-a%2fb")
        self.assertEqual([headers[f"impersonate-{n}"] for n in names], ["boss", "g", "x"])

    def test_not_in_the_clear(self) -> None:
        """Over plain HTTP a server is not told any credential."""
        plain = self.serve()
        users: list[dict[str, object]] = [{"token": "t"}, {"username": "u", "password": "p"}]
        for user in users:
            self.reach(kubeconfig(plain.url, {}, user)).get("/")
        self.assertEqual([r.headers.get("authorization") for r in plain.requests], [None, None])

    def test_secrets_are_not_shown(self) -> None:
        """What describes the access shows no token, password or key."""
        secret = "c2VjcmV0"
        user = {
            "token": secret,
            "exec": {
                "command": "true",
                "apiVersion": "client.authentication.k8s.io/v1beta1",
                "env": [{"name": "A", "value": secret}],
            },
        }
        access = find_access(
            None, str(self.write("c", kubeconfig("https://h", {}, user))), {"PASSWORD": secret}
        )
        self.assertNotIn(secret, f"{access!r} {access.read()!r}")


class FindingTests(ReachingTestCase):
    """Which of the places that can say so says where the API server is."""

    def test_option_before_variable(self) -> None:
        """--kubeconfig goes before KUBECONFIG."""
        other = self.write("other", kubeconfig("https://127.0.0.1:1"))
        api = self.reach(kubeconfig(self.server.url, self.trusting), {"KUBECONFIG": str(other)})
        self.assertEqual(api.get("/").status, 200)

    def test_several_files(self) -> None:
        """The first of several files that has something decides; one that is missing is none."""
        first = self.write("1", "users: [{name: u, user: {token: first}}]")
        second = self.write(
            "deep/2",
            kubeconfig(self.server.url, {"certificate-authority": "../ca"}, {"token": "2"}),
        )
        self.write("ca", self.authority.certificate)
        files = os.pathsep.join(["", str(self.folder / "none"), str(first), str(second)])
        self.reach(None, {"KUBECONFIG": files}).get("/")
        self.assertEqual(self.server.requests[0].headers["authorization"], "Bearer first")

    def test_missing(self) -> None:
        """A kubeconfig that is named and missing, or a folder, is an error with its path."""
        for named, environ in ((str(self.folder / "x"), {}), (None, {"KUBECONFIG": "/x/y"})):
            error = self.assertRaises(KubeConfigError, find_access, None, named, environ)
            self.assertIn("there is no kubeconfig at /", str(error))
        error = self.assertRaises(KubeConfigError, find_access, None, str(self.folder), {})
        self.assertIn("Is a directory", str(error))

    def test_url_alone(self) -> None:
        """--server alone is reached without credentials, and its path goes before ours."""
        plain = self.serve()
        self.reach(None, {}, server=f"{plain.url}/prefix/").get("/api/v1/nodes", {"limit": "1"})
        self.assertEqual(plain.requests[0].target, "/prefix/api/v1/nodes?limit=1")

    def test_url_over_kubeconfig(self) -> None:
        """--server takes the place of the kubeconfig's server and keeps its credentials."""
        config = kubeconfig("https://127.0.0.1:1", self.trusting, {"token": "t"})
        self.reach(config, server=self.server.url).get("/")
        self.assertEqual(self.server.requests[0].headers["authorization"], "Bearer t")

    def test_in_the_cluster(self) -> None:
        """A pod's service account is used, its token followed, its ClusterIP an address."""
        self.write("ca.crt", self.authority.certificate)
        self.write("token", "first")
        environ = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.server.port),
        }
        api = self.reach(None, environ, service_account=self.folder)
        self.assertEqual({str(a) for a in api.addresses()}, {"127.0.0.1"})
        api.get("/")
        self.write("token", "second")
        api.get("/")
        sent = [r.headers["authorization"] for r in self.server.requests]
        self.assertEqual(sent, ["Bearer first", "Bearer second"])

    def test_home(self) -> None:
        """Where nothing else says so, ~/.kube/config does."""
        self.write(".kube/config", kubeconfig(self.server.url, self.trusting))
        self.assertEqual(self.reach(None, {"HOME": str(self.folder)}).get("/").status, 200)

    def test_nowhere(self) -> None:
        """Where nothing says so, the error names what can be set."""
        environ = {"HOME": str(self.folder)}
        error = self.assertRaises(KubeConfigError, find_access, None, None, environ)
        self.assertIn("--kubeconfig, KUBECONFIG or --server", str(error))
