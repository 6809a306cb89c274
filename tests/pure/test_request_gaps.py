"""Requests to userspace WireGuard leave no gap, whichever of their lines a packet comes after."""

from ipaddress import IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import GrantPeer, RemovePeer, TrimPeer, TunnelChange
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.tunnel.requests import Encoder
from overlayd.tunnel.uapi import request
from tests.pure.line_by_line import after_each_line, holders

KEYS = tuple(PublicKey(bytes([number]) * 32) for number in (1, 2, 3))
SPARE = PublicKey(b"\xee" * 32)
PREFIXES = tuple(IPv4Network((10 << 24 | number << 8, 24)) for number in range(6))

_keys = st.sampled_from(KEYS)
_some = st.frozensets(st.sampled_from(PREFIXES), max_size=4)
_devices = st.dictionaries(st.sampled_from(PREFIXES), _keys)
_changes = st.lists(
    st.builds(lambda k, p, new: GrantPeer("", k, None, p, new, ""), _keys, _some, st.booleans())
    | st.builds(lambda k, p: TrimPeer("", k, p, ""), _keys, _some)
)

law = settings(deadline=None, max_examples=300, derandomize=True)


def encoded(*changes: TunnelChange) -> bytes:
    return request(Encoder(PrivateKey(bytes(range(32))), SPARE).steps(changes))


class GapTests(SynchronousTestCase):
    """What is seen between the lines."""

    @law
    @given(_devices, _changes)
    def test_what_no_change_names_stays(
        self, device: dict[IPv4Network, PublicKey], changes: list[TunnelChange]
    ) -> None:
        """A prefix that is neither granted nor trimmed has its peer after every line."""
        before = {str(prefix): key.raw.hex() for prefix, key in device.items()}
        named = {str(p) for c in changes if isinstance(c, GrantPeer | TrimPeer) for p in c.prefixes}
        staying = {prefix: key for prefix, key in before.items() if prefix not in named}
        for held in after_each_line(encoded(*changes), before):
            self.assertEqual({p: held.get(p) for p in staying}, staying)

    def test_what_moves_is_never_nobodys(self) -> None:
        """A prefix that is granted to another peer has one or the other after every line."""
        one, two, three = PREFIXES[:3]
        device = holders({KEYS[0]: frozenset({one, two}), KEYS[1]: frozenset({three})})
        request = encoded(
            GrantPeer("", KEYS[1], None, frozenset({one}), False, ""),
            TrimPeer("", KEYS[0], frozenset({two}), ""),
            RemovePeer("", KEYS[0], ""),
        )
        seen = list(after_each_line(request, device))
        self.assertTrue(all(str(one) in held for held in seen))
        self.assertEqual(set(seen[-1]), {str(one), str(three)})

    def test_what_replacing_a_list_does(self) -> None:
        """The request that we never make has the gap that this would show."""
        key = KEYS[0].raw.hex()
        lines = (f"public_key={key}", "replace_allowed_ips=true", f"allowed_ip={PREFIXES[0]}")
        device = holders({KEYS[0]: frozenset(PREFIXES[:2])})
        seen = list(after_each_line("\n".join(lines).encode(), device))
        self.assertEqual([len(held) for held in seen], [2, 0, 1])
