"""The manifests agree with the daemon, with overlayctl, and with what is promised of them."""

import re
from typing import Any

from click.testing import CliRunner
from twisted.scripts.twistd import ServerOptions as Twistd  # type: ignore[attr-defined]
from twisted.trial.unittest import SynchronousTestCase

import overlayd
from overlayd.ctl.commands import overlayctl
from overlayd.model.node import ANNOTATIONS
from overlayd.model.places import DEFAULT_CONTROL
from overlayd.model.settings import TunnelKind
from overlayd.options import Options
from tests.manifests import FOLDER, daemonset, documents, env_file, pod, rendered

CONTAINERS = {
    "overlayd": ("base/daemonset.yaml", "containers", 0, ["NET_ADMIN"]),
    "wireguard-go": ("components/wireguard-go/daemonset.yaml", "containers", 0, ["NET_ADMIN"]),
    "teardown": ("components/teardown/daemonset.yaml", "initContainers", 0, ["NET_ADMIN"]),
    "check": ("check/daemonset.yaml", "containers", 65534, None),
}
"""Every container: its file, its user, and every capability that it is given."""

NO_MACHINES = {"type": ["virtual-kubelet"], "eks.amazonaws.com/compute-type": ["fargate"]}
"""The labels of Nodes on which a pod with every toleration would be scheduled, and never start."""

README = (FOLDER / "README.md").read_text()


def container(name: str) -> dict[str, Any]:
    path, part, _, _ = CONTAINERS[name]
    [found] = [c for c in pod(daemonset(path))[part] if c["name"] == name]
    return dict(found)


def not_on(spec: dict[str, Any]) -> dict[str, list[str]]:
    """The labels of the nodes that a pod is kept from."""
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    [term] = required["nodeSelectorTerms"]
    return {e["key"]: e["values"] for e in term["matchExpressions"] if e["operator"] == "NotIn"}


def options(**environ: str) -> Options:
    parsed = Options(environ)
    parsed.parseOptions(["--server", "http://127.0.0.1:1"])
    return parsed


class OptionsTests(SynchronousTestCase):
    """What the manifests give the daemon, it takes."""

    def test_every_variable_is_an_option(self) -> None:
        """No variable of the ConfigMap, or beside it, is one that nobody reads."""
        names = [str(p[0]) for p in (*Options.optParameters, *Options.optFlags)]
        known = {"OVERLAYD_" + name.upper().replace("-", "_") for name in names}
        beside = {entry["name"] for entry in container("overlayd")["env"]}
        self.assertLessEqual(env_file().keys() | beside, known)

    def test_they_are_taken(self) -> None:
        """The daemon starts with them, and the networks are those of the file."""
        given = env_file()
        settings = options(**given).configuration.settings
        self.assertEqual(str(settings.overlay), given["OVERLAYD_OVERLAY_CIDR"])
        self.assertEqual(",".join(map(str, settings.pods)), given["OVERLAYD_POD_CIDR"])

    def test_wireguard_go(self) -> None:
        """With the DaemonSet of wireguard-go the daemon starts none, and both name one device."""
        [component] = documents(FOLDER / "components/wireguard-go/kustomization.yaml")
        [generated] = component["configMapGenerator"]
        changed = dict(literal.split("=", 1) for literal in generated["literals"])
        settings = options(**(env_file() | changed)).configuration.settings
        self.assertIs(settings.tunnel, TunnelKind.EXTERNAL)
        command = ["wireguard-go", "-f", "$(OVERLAYD_WG_DEV)"]
        self.assertEqual(container("wireguard-go")["command"], command)

    def test_commands(self) -> None:
        """Twisted knows the daemon's command; overlayctl knows those it is called with."""
        command = container("overlayd")["command"]
        parsed = Twistd()
        self.assertEqual(command[0], "twistd")
        parsed.parseOptions([*command[1:], "--server", "http://127.0.0.1:1"])
        self.assertEqual((parsed.subCommand, parsed["nodaemon"]), ("overlayd", True))
        probes = [container("overlayd")[f"{kind}Probe"] for kind in ("readiness", "liveness")]
        called = [" ".join(probe["exec"]["command"]) for probe in probes]
        called.append(" ".join(container("teardown")["command"]))
        for text in called:
            found = re.search(r"overlayctl ((?:[a-z0-9-]+ ?)+)", text)
            assert found is not None
            arguments = [*found[1].split(), "--help"]
            self.assertEqual(CliRunner().invoke(overlayctl, arguments).exit_code, 0, text)
        for text, probe in zip(called, probes, strict=False):
            limit = re.search(r"--timeout (\d+)", text)
            assert limit is not None
            self.assertLess(int(limit[1]), probe["timeoutSeconds"])  # it says why, in time

    def test_networks_from_one_place(self) -> None:
        """Daemon and policy read one ConfigMap, whose name changes with what is in it."""
        [config] = rendered("ConfigMap")
        self.assertEqual(config["data"], env_file())
        name = config["metadata"]["name"]
        self.assertRegex(name, r"^overlayd-config-[a-z0-9]{10}$")
        [daemon] = rendered("DaemonSet")
        sources = pod(daemon)["containers"][0]["envFrom"]
        self.assertEqual(sources, [{"configMapRef": {"name": name}}])
        bindings = rendered("ValidatingAdmissionPolicyBinding")
        parameters = [b["spec"]["paramRef"] for b in bindings if "paramRef" in b["spec"]]
        self.assertEqual([p["name"] for p in parameters], [name])
        self.assertEqual(parameters[0]["namespace"], config["metadata"]["namespace"])


class RightsTests(SynchronousTestCase):
    """No more rights than are needed."""

    def test_containers(self) -> None:
        """Each is unprivileged, with a root that is read-only and the capabilities listed here."""
        for name, (_, _, user, capabilities) in CONTAINERS.items():
            context = dict(container(name)["securityContext"])
            self.assertFalse(context.pop("privileged", False), name)
            context.pop("runAsNonRoot", None)
            given = {"drop": ["ALL"]} | ({"add": capabilities} if capabilities else {})
            wanted = {
                "runAsUser": user,
                "runAsGroup": user,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": given,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
            if capabilities:  # they use folders of the host, too
                wanted["seLinuxOptions"] = {"level": "s0", "type": "spc_t"}
            self.assertEqual(context, wanted, name)

    def test_pods(self) -> None:
        """None sees the host's processes; all go where nothing else may; none has a CPU limit."""
        for name, (path, _, _, _) in CONTAINERS.items():
            spec = pod(daemonset(path))
            self.assertFalse({"hostPID", "hostIPC", "shareProcessNamespace"} & spec.keys(), name)
            resources = container(name)["resources"]
            self.assertEqual(set(resources["requests"]), {"cpu", "memory"}, name)
            self.assertNotIn("cpu", resources.get("limits", {}), name)
            if name != "teardown":  # it is a patch to the daemon's
                self.assertEqual(spec["tolerations"], [{"operator": "Exists"}], name)
                self.assertEqual(spec["nodeSelector"], {"kubernetes.io/os": "linux"}, name)
                self.assertEqual(not_on(spec), NO_MACHINES, name)
        for path in ("base/daemonset.yaml", "components/wireguard-go/daemonset.yaml"):
            spec = pod(daemonset(path))
            self.assertEqual(spec["priorityClassName"], "system-node-critical")
            self.assertEqual((spec["hostNetwork"], spec["dnsPolicy"]), (True, "Default"))

    def test_priority(self) -> None:
        """A quota lets pods of their priority class in, which GKE refuses without one."""
        [quota] = rendered("ResourceQuota")
        [daemon] = rendered("DaemonSet")
        self.assertEqual(quota["metadata"]["namespace"], daemon["metadata"]["namespace"])
        [scope] = quota["spec"]["scopeSelector"]["matchExpressions"]
        self.assertEqual((scope["scopeName"], scope["operator"]), ("PriorityClass", "In"))
        self.assertEqual(scope["values"], [pod(daemon)["priorityClassName"]])

    def test_updates(self) -> None:
        """The daemon rolls a tenth at a time; a tunnel is updated by hand alone."""
        strategy = daemonset("base/daemonset.yaml")["spec"]["updateStrategy"]
        wanted = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}
        self.assertEqual(strategy, wanted)
        tunnel = daemonset("components/wireguard-go/daemonset.yaml")
        self.assertEqual(tunnel["spec"]["updateStrategy"], {"type": "OnDelete"})
        self.assertNotIn("lifecycle", container("overlayd"))

    def test_access(self) -> None:
        """The daemon's account may read Nodes and patch them; the tunnel has no account."""
        [role] = rendered("ClusterRole")
        nodes = {"apiGroups": [""], "resources": ["nodes"]}
        self.assertEqual(role["rules"], [{**nodes, "verbs": ["get", "list", "watch", "patch"]}])
        for path in ("components/wireguard-go", "components/teardown"):
            self.assertFalse(
                pod(daemonset(f"{path}/daemonset.yaml"))["automountServiceAccountToken"]
            )

    def test_host_paths(self) -> None:
        """The folder of the control socket is the daemon's default, on the host as inside."""
        for name in ("overlayd", "teardown"):
            [mount] = [m for m in container(name)["volumeMounts"] if m["name"] == "control"]
            self.assertEqual(mount["mountPath"], DEFAULT_CONTROL.rpartition("/")[0])
        paths = [v["hostPath"]["path"] for v in pod(daemonset("base/daemonset.yaml"))["volumes"]]
        self.assertEqual(paths, [DEFAULT_CONTROL.rpartition("/")[0]])


class NamesTests(SynchronousTestCase):
    """Names that stand in more than one place are the same in all."""

    def test_annotations(self) -> None:
        """The policies are about our annotations, each of them."""
        for name, ours in (("daemon", 1), ("annotations", 2)):
            text = (FOLDER / f"components/admission/{name}.yaml").read_text()
            lists = re.findall(r"\[('wireguard-publickey'[^\]]*)\]", text)
            self.assertEqual(len(lists), ours, name)
            for found in lists:
                self.assertEqual(tuple(re.findall(r"'([^']+)'", found)), ANNOTATIONS, name)

    def test_account(self) -> None:
        """The policy for the daemon is about the account that its pods have."""
        [daemon] = rendered("DaemonSet")
        account = f"{daemon['metadata']['namespace']}:{pod(daemon)['serviceAccountName']}"
        [policy] = documents(FOLDER / "components/admission/daemon.yaml")[:1]
        [condition] = policy["spec"]["matchConditions"]
        self.assertIn(f"'system:serviceaccount:{account}'", condition["expression"])

    def test_image(self) -> None:
        """The image is tagged with this version."""
        [component] = documents(FOLDER / "components/image/kustomization.yaml")
        self.assertEqual([i["newTag"] for i in component["images"]], [overlayd.__version__])
        [daemon] = rendered("DaemonSet")
        image = pod(daemon)["containers"][0]["image"]
        self.assertEqual(image, f"overlayd:{overlayd.__version__}")

    def test_namespace(self) -> None:
        """Pods with the host's network are let in."""
        [namespace] = rendered("Namespace")
        labels = namespace["metadata"]["labels"]
        self.assertEqual(labels["pod-security.kubernetes.io/enforce"], "privileged")

    def test_removing(self) -> None:
        """The command that removes our annotations at last removes each of them."""
        found = re.search(r"kubectl annotate nodes --all ((?:\S+-\s+(?:\\\n\s+)?)+)", README)
        assert found is not None
        named = found[1].replace("\\", "").split()
        self.assertEqual(named, [f"{name}-" for name in ANNOTATIONS])

    def test_folders(self) -> None:
        """What k8s/README.md tells people to apply is there."""
        for folder in re.findall(r"kubectl (?:apply|delete|diff) -k (\S+)", README):
            self.assertTrue((FOLDER.parent / folder / "kustomization.yaml").exists(), folder)
