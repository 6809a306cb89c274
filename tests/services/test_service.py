"""The top: what twistd is given, before it starts anything."""

import json
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

BUILD = """
import json, os, sys, threading
from overlayd.service import Options, makeService
from twisted.internet import reactor

def held():
    return sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                  if os.path.exists(f"/proc/self/fd/{n}")), threading.active_count()

options = Options({})
options.parseOptions(["--server", "http://127.0.0.1:1", "--node-name", "a"])
before = held()
service = makeService(options)
after = held()
heavy = {name.partition(".")[0] for name in sys.modules} & {"kubernetes", "pyroute2", "rich"}
print(json.dumps([before == after, len(reactor.getDelayedCalls()), sorted(heavy)]))
"""


class MakeServiceTests(SynchronousTestCase):
    def test_opens_nothing(self) -> None:
        """`makeService` opens no file, socket or netlink, starts no thread and no timer.

        Nor is anything heavy imported by then that an idle daemon can do without.
        """
        ended = subprocess.run(
            [sys.executable, "-c", BUILD], capture_output=True, text=True, check=True
        )
        self.assertEqual(json.loads(ended.stdout), [True, 0, []])
