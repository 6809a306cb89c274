"""What people read: numbers, tables, and lines made of documents."""

import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.control import encoding
from overlayd.ctl import render
from overlayd.ctl.table import table
from overlayd.ctl.words import counted, duration, size
from overlayd.model.text import printable
from tests.statuses import ORDINARY, TROUBLED, peer


class WordsTests(SynchronousTestCase):
    def test_duration(self) -> None:
        """A duration has its two largest units, and a clock that jumped gives none below zero."""
        for seconds, text in (
            (-5, "0s"),
            (0, "0s"),
            (0.0123, "12ms"),
            (1.9, "1s"),
            (59, "59s"),
            (60, "1m"),
            (192, "3m12s"),
            (3600, "1h"),
            (7500, "2h5m"),
            (86400, "1d"),
            (273600, "3d4h"),
        ):
            self.assertEqual(duration(seconds), text)

    def test_size(self) -> None:
        """Bytes are written as `wg show` does."""
        for count, text in (
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1234567, "1.18 MiB"),
            (5 * 1024**3, "5.00 GiB"),
            (2**63, "8388608.00 TiB"),
        ):
            self.assertEqual(size(count), text)

    def test_counted(self) -> None:
        """One is one, and many have commas."""
        self.assertEqual(
            [counted(n, "change") for n in (0, 1, 5000)], ["0 changes", "1 change", "5,000 changes"]
        )


class TableTests(SynchronousTestCase):
    def test_eighty_columns(self) -> None:
        """On a terminal of 80 columns an endpoint and a prefix stay in one piece."""
        self.addCleanup(os.environ.update, dict(os.environ))
        self.addCleanup(os.environ.pop, "COLUMNS", None)  # this one runs first
        os.environ["COLUMNS"] = "80"
        prefixes = ("10.244.20.0/24", "100.64.20.1/32")
        cells = ("node1", "up", "2m12s ago", "192.0.2.10:51820")
        drawn = table(
            render.PEERS_HEAD,
            [[*cells, ", ".join(prefixes), "117.74 MiB", "1.01 KiB"]],
            terminal=True,
        )
        for part in (*cells, *prefixes):
            self.assertIn(part, drawn)
        self.assertLessEqual(max(map(len, drawn.splitlines())), 80)

    def test_columns(self) -> None:
        """In a pipe columns are as wide as their widest cell, and an empty cell is a dash."""
        self.assertEqual(
            table(["A", "B"], [["long", ""], ["x", "y"]], terminal=False),
            "A      B\nlong   -\nx      y\n",
        )

    def test_markup_is_text(self) -> None:
        """On a terminal, what looks like the markup of the library that draws is only text."""
        self.assertIn("[bold]", table(["A"], [["[bold]x[/bold]"]], terminal=True))

    @settings(deadline=None)
    @given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=4))
    def test_whatever_the_cells(self, rows: list[list[str]]) -> None:
        """Each row is one line of printable characters, whatever its cells are."""
        lines = table(["A", "B"], rows, terminal=False).split("\n")
        self.assertEqual(len(lines), len(rows) + 2)
        self.assertTrue(all(line.isprintable() for line in lines))


class PrintableTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(st.text())
    def test_it_is(self, text: str) -> None:
        """Any text becomes printable, and what is so already stays as it is."""
        once = printable(text)
        self.assertTrue(once.isprintable())
        self.assertEqual(printable(once), once)


class LinesTests(SynchronousTestCase):
    def document(self, **changes: Any) -> dict[str, Any]:
        return encoding.status_document(ORDINARY) | changes

    def line(self, label: str, **changes: Any) -> str:
        (line,) = [
            line
            for line in render.status_lines(self.document(**changes))
            if line.startswith(f"{label}:")
        ]
        return line.partition(":")[2].strip()

    def test_device(self) -> None:
        """The device is told with its link, tunnel, port and MTU."""
        self.assertEqual(self.line("Device"), "wg0 (userspace), up, UDP port 51820, MTU 1420")

    def test_no_device(self) -> None:
        """Where there is no device of ours, that is said instead."""
        device = self.document()["device"] | {"present": False, "publicKey": None}
        self.assertEqual(
            self.line("Device", device=device), "wg0 (userspace): there is none of ours"
        )
        self.assertEqual(self.line("Public key", device=device), "none")

    def test_silent_device(self) -> None:
        """Of a device that does not answer nothing is said that nobody knows."""
        device = self.document()["device"] | {"present": False, "answers": False, "publicKey": None}
        silent = {"device": device | {"addresses": []}}
        self.assertEqual(self.line("Device", **silent), "wg0 (userspace): it does not answer")
        for label in ("Public key", "Addresses", "Peers"):
            self.assertEqual(self.line(label, **silent), "not known")

    def test_peers(self) -> None:
        """Peers are counted by state, and states without a peer are left out."""
        self.assertEqual(self.line("Peers"), "3 (2 up, 1 never)")

    def test_before_the_first(self) -> None:
        """Before the first inventory and the first pass there is none of either."""
        nothing = {"inventory": None, "lastPass": None, "api": {"connected": None, "error": None}}
        self.assertEqual(self.line("Inventory", **nothing), "none yet")
        self.assertEqual(self.line("Last pass", **nothing), "none yet")
        self.assertEqual(self.line("API server", **nothing), "not watched yet")

    def test_unwatched_nodes(self) -> None:
        """What keeps the Nodes from being followed is the second line, with how old they are."""
        api = {"connected": None, "error": "Connection refused", "heard": 192.0}
        lines = list(render.status_lines(self.document(api=api)))
        self.assertTrue(lines[1].startswith("API server:"), lines)
        self.assertTrue(lines[1].endswith("not watched, last heard 3m12s ago: Connection refused"))
        self.assertEqual(sum("API server" in line for line in lines), 1)

    def test_not_ready(self) -> None:
        """Who is not ready says why, also where the cause is that the Nodes cannot be read."""
        document = self.document(ready=False, state="starting", message="no Nodes yet")
        self.assertEqual(render.readiness_line(document), "not ready: starting: no Nodes yet")
        api = {"connected": None, "error": "may not list nodes (403)", "heard": None}
        self.assertEqual(
            render.readiness_line(document | {"api": api}),
            "not ready: starting: no Nodes yet; API server not watched: may not list nodes (403)",
        )

    def test_repairs(self) -> None:
        """Of repairs there is the number and the last, so that a healthy node's status is short."""
        document = self.document(
            counts={"repairs": 2},
            repaired=40,
            repairs=[
                {"at": "t1", "change": "c1", "why": "w"},
                {"at": "t2", "change": "c2", "why": "w"},
            ],
        )
        lines = list(render.status_lines(document))
        self.assertIn("40; overlayctl history", lines[-2])
        self.assertEqual(lines[-1], "  t2 c2 (w)")

    def test_what_is_fought_over(self) -> None:
        """A repair that someone keeps undoing is named, for it waits longer and longer."""
        lines = list(
            render.status_lines(self.document(counts={"fights": 1}, fights=[{"name": "route x"}]))
        )
        self.assertEqual(lines[-2:], ["Fought over:    1", "  route x"])

    def test_older_daemon(self) -> None:
        """What an older daemon does not know of is shown as nothing out of the ordinary."""
        shown = list(render.status_lines(self.document()))
        device = {k: v for k, v in self.document()["device"].items() if k != "answers"}
        older = self.document(counts={}, device=device)
        self.assertEqual(list(render.status_lines(older)), shown)

    def test_times(self) -> None:
        """Ages and delays are in words."""
        self.assertEqual(self.line("Inventory"), "4 nodes, version 1234, the same for 3m12s")
        self.assertEqual(self.line("Next try", nextRetry=3.0), "in 3s")
        self.assertEqual(
            self.line("Last pass"),
            "12s ago, number 7, took 12ms, because 2 nodes changed: 2 changes",
        )

    def test_more(self) -> None:
        """Of a list that is longer than what was asked for it is said how many are missing."""
        document = encoding.status_document(TROUBLED)
        document["notAnnounced"] = [{"name": "windows-1"}]
        lines = list(render.status_lines(document))
        at = lines.index("  windows-1")
        self.assertEqual(lines[at + 1], "  and 1 more; -o json shows all")

    def test_held_without_an_end(self) -> None:
        """While our own Node is missing, no end is told, nor what would not help."""
        document = encoding.status_document(TROUBLED)
        held = encoding.held_document(TROUBLED.held[0])
        for until, parts in (
            (None, ["for as long as our own Node is missing"]),
            ("2026-01-01T00:04:00Z", ["until 2026-01-01T00:04:00Z, 4m more", "overlayctl confirm"]),
        ):
            document["held"] = [held | {"until": until}]
            shown = "\n".join(render.status_lines(document))
            for part in parts:
                self.assertIn(part, shown)
            self.assertEqual("overlayctl confirm" in shown, until is not None)

    def test_handshake(self) -> None:
        """A handshake has its age; one that is ahead of a clock set back says so."""
        document = encoding.peer_document(peer(1))
        ages = [
            render.peer_rows([document | {"latestHandshake": at}], now=1000.0)[0][2]
            for at in (None, 808.0, 1000.5, 4600.0)
        ]
        self.assertEqual(ages, ["never", "3m12s ago", "0s ago", "1h ahead"])

    def test_large_peer(self) -> None:
        """A peer whose prefixes are not all in the document says how many are missing."""
        document = encoding.peer_document(peer(1)) | {"allowedIPCount": 5_000}
        self.assertEqual(
            render.peer_rows([document], now=0.0)[0][4], "10.244.1.0/24, and 4,999 more"
        )
