"""One thing that is asked of both servers, and what each of them is known to answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from beside.project import Project
from beside.server import Server

__all__ = ["Area", "Case", "Difference"]

Ask = Callable[[Server], Any]
"""Asks a server, and returns what came back: plain values, without what no two servers have in common."""


@dataclass(frozen=True)
class Difference:
    """A row of the table in the docs; more than one case may prove it.

    Attributes:
        topic: What it is about.
        cog: What Cog does.
        here: What servekit does.
        why: Why that is better, or harms nobody.
    """

    topic: str
    cog: str
    here: str
    why: str


@dataclass(frozen=True)
class Case:
    """A case.

    Attributes:
        name: Its sentence, with underscores.
        project: What both servers serve.
        ask: Asks one of them.
        cog: What Cog's answers.
        here: What servekit's answers.
        difference: Why these are not the same; None if they are.
    """

    name: str
    project: Project
    ask: Ask
    cog: Any
    here: Any
    difference: Difference | None = None


@dataclass(frozen=True)
class Area:
    """The cases about one thing.

    Attributes:
        title: Its heading.
        cases: Those that were declared.
    """

    title: str
    cases: list[Case] = field(default_factory=list[Case])

    def agrees(self, project: Project, expected: Any) -> Callable[[Ask], Ask]:
        """Declare that both servers give the expected answer."""
        return self._declare(project, expected, expected, None)

    def differs(self, project: Project, difference: Difference, *, cog: Any, here: Any) -> Callable[[Ask], Ask]:
        """Declare that the servers give different answers, and why that is right."""
        return self._declare(project, cog, here, difference)

    def _declare(self, project: Project, cog: Any, here: Any, difference: Difference | None) -> Callable[[Ask], Ask]:
        def declare(ask: Ask) -> Ask:
            self.cases.append(Case(ask.__name__, project, ask, cog, here, difference))
            return ask

        return declare
