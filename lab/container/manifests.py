"""The DaemonSets of k8s/ as kustomize renders them, as far as ours goes.

kubectl is not needed for it; where there is one, a test holds this to what it renders.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from attrs import evolve, frozen

from lab.installed import CHECKOUT

MANIFESTS = CHECKOUT / "k8s"

Document = dict[str, Any]

_KEYS = ("mountPath", "name")
"""What tells the items of a list apart in a strategic merge; items of other lists are replaced."""

_KNOWN = {
    *("apiVersion", "kind", "namespace", "resources", "components", "patches"),
    *("configMapGenerator", "images", "configurations"),
}


@frozen
class Rendered:
    """DaemonSets by their names, and what is in the ConfigMap that they take their options from."""

    daemon_sets: Mapping[str, Document]
    options: Mapping[str, str]


def render(folder: Path) -> Rendered:
    """What a folder with a kustomization installs.

    :raises ValueError: it has a field that is not known here.
    """
    daemon_sets: dict[str, Document] = {}
    options: dict[str, str] = {}
    _add(folder, daemon_sets, options)
    return Rendered(daemon_sets, options)


def retagged(rendered: Rendered, tag: str) -> Rendered:
    """The same with another tag of the image: what a rollout installs."""
    daemon_sets = deepcopy(dict(rendered.daemon_sets))
    for daemon_set in daemon_sets.values():
        for container in daemon_set["spec"]["template"]["spec"]["containers"]:
            container["image"] = f"{container['image'].partition(':')[0]}:{tag}"
    return evolve(rendered, daemon_sets=daemon_sets)


def _add(folder: Path, daemon_sets: dict[str, Document], options: dict[str, str]) -> None:
    wanted: Document = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := wanted.keys() - _KNOWN:
        raise ValueError(f"{folder}/kustomization.yaml: not known here: {', '.join(unknown)}")
    for name in (*wanted.get("resources", ()), *wanted.get("components", ())):
        path = folder / name
        if path.is_dir():
            _add(path, daemon_sets, options)
            continue
        for document in _daemon_sets(path):
            daemon_sets[document["metadata"]["name"]] = document
    for patch in wanted.get("patches", ()):
        for document in _daemon_sets(folder / patch["path"]):
            name = document["metadata"]["name"]
            daemon_sets[name] = _merged(daemon_sets[name], document)
    for generated in wanted.get("configMapGenerator", ()):
        for file in generated.get("envs", ()):
            options.update(_variables((folder / file).read_text().splitlines()))
        options.update(_variables(generated.get("literals", ())))


def _daemon_sets(path: Path) -> Iterator[Document]:
    for document in yaml.safe_load_all(path.read_text()):
        if document["kind"] == "DaemonSet":
            yield document


def _variables(lines: Any) -> Iterator[tuple[str, str]]:
    for line in lines:
        if line.strip() and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield name, value


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        merged = {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
        return {key: value for key, value in merged.items() if value is not None}
    if isinstance(old, list) and isinstance(new, list) and old and new:
        for key in _KEYS:
            if all(isinstance(item, dict) and key in item for item in (*old, *new)):
                items = {item[key]: item for item in old}
                for item in new:
                    items[item[key]] = _merged(items.get(item[key]), item)
                return list(items.values())
    return new
