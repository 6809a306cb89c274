"""Who has addresses of a prefix."""

from ipaddress import IPv4Network, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.addresses import IPNetwork
from overlayd.model.prefix_index import PrefixIndex

law = settings(deadline=None, derandomize=True, max_examples=200)

networks: st.SearchStrategy[IPNetwork] = st.builds(
    lambda number, length: IPv4Network(
        f"10.0.0.{number >> (32 - length) << (32 - length)}/{length}"
    ),
    st.integers(0, 15),
    st.integers(28, 32),
) | st.sampled_from([ip_network("::/0"), ip_network("fd00::/64"), ip_network("::a00:0/124")])

having = st.lists(st.tuples(networks, st.sampled_from("abc")))


class PrefixIndexTests(SynchronousTestCase):
    @law
    @given(having, networks)
    def test_finds_what_comparing_all_finds(
        self, pairs: list[tuple[IPNetwork, str]], wanted: IPNetwork
    ) -> None:
        """It finds exactly those who have addresses of a prefix, and each of their prefixes."""
        index = PrefixIndex.of(pairs)
        expected = {
            (p, name) for p, name in pairs if p.version == wanted.version and p.overlaps(wanted)
        }
        self.assertEqual(set(index.overlapping(wanted)), {name for _, name in expected})
        self.assertEqual(set(index.owners(wanted)), {name for p, name in pairs if p == wanted})
        other = index.other_than("b", wanted)
        others = {(p, name) for p, name in expected if name != "b"}
        self.assertEqual(other is not None, bool(others))
        self.assertTrue(other is None or other in others)

    @law
    @given(having, st.data())
    def test_step_by_step(self, pairs: list[tuple[IPNetwork, str]], data: st.DataObject) -> None:
        """Kept up to date step by step it equals one made from scratch, and none is changed."""
        index: PrefixIndex[str] = PrefixIndex()
        for prefix, owner in pairs:
            index = index.add(prefix, owner)
        self.assertEqual(index, PrefixIndex.of(pairs))
        left, before = set(pairs), index
        for pair in data.draw(st.lists(st.sampled_from(pairs) if pairs else st.nothing())):
            index = index.discard(*pair)
            left.discard(pair)
        self.assertEqual(index, PrefixIndex.of(left))
        self.assertEqual(before, PrefixIndex.of(pairs))

    def test_many_inside_one(self) -> None:
        """A short prefix finds the long ones inside it, whether they are few or many there."""
        hosts = [(ip_network(f"10.1.{n // 256}.{n % 256}"), n) for n in range(600)]
        index = PrefixIndex.of([*hosts, (ip_network("10.0.0.0/8"), 1000)])
        for text, count in (("10.1.0.0/24", 256), ("10.1.0.0/30", 4), ("10.0.0.0/7", 600)):
            owners = list(index.overlapping(ip_network(text)))
            self.assertEqual(len(owners), count + 1, text)
