"""The device itself, its link, address, rules and forwarding: from what they are to what we want.

Each function answers the changes of one kind; `plan.py` puts the kinds in order.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface

from overlayd.model.changes import (
    AddAddress,
    AddRule,
    BringUp,
    EnableForwarding,
    GiveKey,
    MakeDevice,
    RemoveAddress,
    RemoveLink,
    RemoveRule,
    SetAlias,
    SetListenPort,
    SetMtu,
)
from overlayd.model.machine import ALIAS, Observed, Rule, RuleKind
from overlayd.model.settings import Settings
from overlayd.plan.ground import Ground

NEW = "the device is new"


def add_rules(settings: Settings, observed: Observed) -> Iterator[AddRule]:
    """Those that keep traffic in come before those that refuse the rest, or that cuts it off."""
    found = {owned.rule for owned in observed.rules}
    for rule in _wanted_rules(settings):
        if rule not in found:
            yield AddRule(rule, f"traffic for {rule.network} must never leave in the clear")


def remove_rules(settings: Settings, observed: Observed) -> Iterator[RemoveRule]:
    """Those of our protocol number that we do not want, and what is there twice.

    Of two for one network the one that refuses goes first.
    """
    wanted = set(_wanted_rules(settings))
    unwanted = []
    for owned in observed.rules:
        if owned.rule in wanted:
            wanted.remove(owned.rule)
        else:
            unwanted.append(owned)
    unwanted.sort(key=lambda o: o.rule is not None and o.rule.kind is RuleKind.KEEP_IN)
    for owned in unwanted:
        yield RemoveRule(owned, "it is none of those we want, or there twice")


def _wanted_rules(settings: Settings) -> list[Rule]:
    return [Rule(n, kind) for kind in RuleKind for n in settings.networks]


def make_device(
    settings: Settings, there: Ground
) -> Iterator[RemoveLink | MakeDevice | SetAlias | GiveKey | SetListenPort]:
    name = settings.wg_dev
    if there.dead:
        yield RemoveLink(name, "no tunnel answers behind it")
    if there.link is None:
        yield MakeDevice(name, "there is none")
    if there.link is None:
        yield SetAlias(name, NEW)
    elif there.link.alias != ALIAS:
        yield SetAlias(name, "--adopt says so" if there.adopted else "it is not marked")
    if there.device.public_key is None:
        yield GiveKey(NEW if there.link is None else "the device has no key")
    if there.device.listen_port != settings.listen_port:
        was = there.device.listen_port
        yield SetListenPort(
            settings.listen_port, NEW if there.link is None else f"it listened on {was}"
        )


def add_address(
    settings: Settings, there: Ground, overlay: IPv4Address | None
) -> Iterator[AddAddress]:
    """`overlay` is None where another node holds our overlay address."""
    if overlay is None:
        return
    wanted = IPv4Interface((overlay, 32))
    if wanted not in there.addresses:
        yield AddAddress(settings.wg_dev, wanted, "it is our overlay address")


def remove_addresses(
    settings: Settings, there: Ground, overlay: IPv4Address | None
) -> Iterator[RemoveAddress]:
    """Other overlay addresses. What an operator put there from another network is left alone."""
    why = f"our overlay address is {overlay}" if overlay else "another node holds it"
    for interface in sorted(there.addresses, key=str):
        if (
            isinstance(interface, IPv4Interface)
            and interface.ip in settings.overlay
            and (overlay is None or interface != IPv4Interface((overlay, 32)))
        ):
            yield RemoveAddress(settings.wg_dev, interface, why)


def set_mtu(settings: Settings, there: Ground, wanted: int | None) -> Iterator[SetMtu]:
    if wanted is not None and (there.link is None or there.link.mtu != wanted):
        of_option = settings.mtu is not None
        yield SetMtu(
            settings.wg_dev, wanted, "--mtu says so" if of_option else "the way to the peers has it"
        )


def bring_up(settings: Settings, there: Ground) -> Iterator[BringUp]:
    if there.link is None or not there.link.up:
        yield BringUp(settings.wg_dev, NEW if there.link is None else "it is down")


def enable_forwarding(observed: Observed) -> Iterator[EnableForwarding]:
    if not observed.forwarding:
        yield EnableForwarding("pods' packets are forwarded")
