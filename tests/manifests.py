"""The manifests of k8s/ as they are in the repository, for tests without kubectl."""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent.parent / "k8s"
RENDERED = FOLDER / "overlayd.yaml"
"""What `kubectl kustomize k8s` prints; the cluster tier shows that it is up to date."""

Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def rendered(kind: str) -> list[Manifest]:
    """What of one kind is installed."""
    return [document for document in documents(RENDERED) if document["kind"] == kind]


def daemonset(path: str) -> Manifest:
    """The one DaemonSet of a file in k8s/."""
    [found] = [d for d in documents(FOLDER / path) if d["kind"] == "DaemonSet"]
    return found


def pod(found: Manifest) -> Manifest:
    spec: Manifest = found["spec"]["template"]["spec"]
    return spec


def env_file() -> dict[str, str]:
    """The options of a cluster, as variables."""
    lines = (FOLDER / "base/overlayd.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
