"""Label and field selectors, as far as the tests of Nodes need them: equality and existence."""

from collections.abc import Callable

from overlayd.testing.apiserver.documents import Stored
from overlayd.testing.apiserver.refusals import bad_request

Selector = Callable[[Stored], bool]


def everything(_: Stored) -> bool:
    return True


def selector(labels: str, fields: str) -> Selector:
    """Read `labelSelector` and `fieldSelector`; both must match.

    :raises Refusal: 400 for what is not understood, set-based label selectors among it.
    """
    tests = [_field_test(part) for part in _parts(fields)]
    tests += [_label_test(part) for part in _parts(labels)]
    if not tests:
        return everything
    return lambda node: all(test(node) for test in tests)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _compared(part: str) -> tuple[str, str, bool] | None:
    """Split `key=value`, `key==value` or `key!=value`; the last says whether it is equality."""
    for operator in ("!=", "==", "="):
        key, found, value = part.partition(operator)
        if found:
            return key.strip(), value.strip(), operator != "!="
    return None


def _field_test(part: str) -> Selector:
    compared = _compared(part)
    if compared is None or compared[0] != "metadata.name":
        raise bad_request(f"field label not supported: {part}")
    _, name, equal = compared
    return lambda node: (node.name == name) is equal


def _label_test(part: str) -> Selector:
    if not part or " " in part or "(" in part:
        raise bad_request(f"unable to parse requirement: {part} (only equality is done here)")
    compared = _compared(part)
    if compared is None:
        key, wanted = part.lstrip("!"), not part.startswith("!")
        return lambda node: (key in _labels(node)) is wanted
    key, value, equal = compared
    return lambda node: (_labels(node).get(key) == value) is equal


def _labels(node: Stored) -> dict[str, str]:
    labels: dict[str, str] = node.document["metadata"].get("labels", {})
    return labels
