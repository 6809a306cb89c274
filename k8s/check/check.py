"""Asks the pods of all other nodes, again and again: do they answer from here, through the mesh?

A pod of it runs on each node, in the pod network. It answers what asks it with the name of its
node, and /ready with 200 once the pods of all other nodes answered it, else with 503 and who did
not. It logs a line whenever that changes.
"""

import http.client
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat

from overlayd.kube.config.access import find_access
from overlayd.kube.transport.api import ApiServer
from overlayd.model.errors import OverlaydError
from overlayd.model.text import shown

PORT = 8471
PAUSE = 5.0  # seconds between two rounds
PATIENCE = 5.0  # seconds for one answer
AT_ONCE = 32
PADDING = " " * 4096
"""Makes an answer take several full packets: an MTU that is too large shows."""


class Check:
    """Where things stand. `wrong` is what keeps this pod from being ready."""

    def __init__(self, node: str, namespace: str) -> None:
        self.node = node
        self.wrong = ["the first round is not done"]
        self._api = ApiServer(find_access(None, None, os.environ))
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._said = ""

    def round(self) -> None:
        """Ask all the others once."""
        try:
            others = self._others()
        except OverlaydError as error:
            self._tell([f"the API server does not say where the others are: {shown(str(error))}"])
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            wrong = pool.map(_why_not, repeat(self.node), others, others.values())
        self._tell([reason for reason in wrong if reason], len(others))

    def _others(self) -> dict[str, str]:
        """The addresses of the other nodes' pods by the names of the nodes; "" without one yet."""
        query = {"labelSelector": "app.kubernetes.io/name=overlayd-check"}
        answer = self._api.get(self._pods, query)
        if answer.status != 200:
            raise OverlaydError(f"{answer.status} {answer.body[:200].decode(errors='replace')}")
        pods = json.loads(answer.body)["items"]
        return {
            pod["spec"]["nodeName"]: pod.get("status", {}).get("podIP", "")
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
            and pod["spec"].get("nodeName", self.node) != self.node
        }

    def _tell(self, wrong: list[str], others: int = 0) -> None:
        self.wrong = wrong
        lines = wrong or [f"the pods of all {others} other nodes answer {self.node}"]
        said = "".join(f"{line}\n" for line in lines)
        if said != self._said:
            sys.stdout.write(said)
            sys.stdout.flush()
            self._said = said


def _why_not(here: str, node: str, address: str) -> str | None:
    """Why the pod of a node does not answer; None if it does."""
    if not address:
        return f"the pod of {node} has no address yet"
    connection = http.client.HTTPConnection(address, PORT, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        answered = connection.getresponse().read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{here} gets no answer from the pod of {node} at {address}: {error!r}"
    finally:
        connection.close()
    if answered != node + PADDING:
        return f"at {address} {shown(answered.strip())!r} answers, and not {node}"
    return None


def main() -> None:
    check = Check(os.environ["NODE_NAME"], os.environ["NAMESPACE"])

    class Answer(BaseHTTPRequestHandler):
        timeout = PATIENCE

        def do_GET(self) -> None:
            wrong = check.wrong if self.path == "/ready" else []
            body = "\n".join(wrong) if wrong else check.node + PADDING
            self.send_response(503 if wrong else 200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((os.environ["POD_IP"], PORT), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        check.round()
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
