"""What a fault is, and what the causes of faults have to hand."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from attrs import frozen

from chaos.ghosts import Ghosts
from lab.eventually import REPAIR
from lab.mesh import Mesh


@frozen
class Stage:
    """The mesh that is broken, and the Nodes of its cluster that have no machine."""

    mesh: Mesh
    ghosts: Ghosts


Cause = Callable[..., AbstractContextManager[None]]
"""Takes the stage and as many members as the fault has places."""


@frozen
class Fault:
    """One way to break the mesh.

    Entering `cause` breaks it. Where the fault is `lasting`, leaving it ends what overlayd cannot
    end, such as starting a process again. All must be right `limit` seconds later. `places` is on
    how many nodes it happens, and `harms` whether their packets may be lost meanwhile: those of
    all other nodes never may. `told` marks a repair of which other nodes hear through the API
    server. `of_server` is a fault of that itself, of which there is one at a time; `alone` one that
    no other may accompany.
    """

    name: str
    cause: Cause
    places: int = 1
    lasting: bool = False
    harms: bool = True
    limit: float = REPAIR
    told: bool = False
    of_server: bool = False
    alone: bool = False
