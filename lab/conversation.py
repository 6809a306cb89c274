"""A module of the lab that runs inside a machine and answers questions, line by line."""

import signal
from typing import Self

from lab.namespaces import Namespace, end


class Conversation:
    """The program `python -m MODULE` in a machine: one line in, one line out, until closed."""

    def __init__(self, machine: Namespace, module: str, *arguments: str) -> None:
        self._process = machine.start_python(("-m", module, *arguments))

    def ask(self, question: str) -> str:
        """Its answer to one question.

        :raises RuntimeError: it has ended.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{question}\n".encode())
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"no answer to {question!r}: the program has ended")
        return answer.decode().strip()

    def close(self) -> None:
        end(self._process, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
