"""How much each caller has running and waiting."""

from servekit.spec import CallerSpec

__all__ = ["Callers"]


class Callers:
    """Counts the live predictions of each caller. Nothing is kept for one who has none.

    Args:
        spec: By what callers are told apart, and how many predictions one may have.
    """

    def __init__(self, spec: CallerSpec) -> None:
        self._spec = spec
        self._counts: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, caller: bytes) -> int:
        """Return how many a caller has."""
        return self._counts.get(caller, 0)

    def has_room(self, caller: bytes) -> bool:
        """Whether a caller may have one more."""
        return self._spec.max is None or self.count(caller) < self._spec.max

    def enter(self, caller: bytes) -> None:
        """A caller has one more."""
        self._counts[caller] = self.count(caller) + 1

    def leave(self, caller: bytes) -> None:
        """One of a caller's has ended."""
        left = self._counts[caller] - 1
        if left:
            self._counts[caller] = left
        else:
            del self._counts[caller]

    def explain(self, caller: bytes) -> str:
        """Say why a caller may not have one more. Who it is stays unsaid: that may be a key."""
        limit = f"as many predictions running and waiting as one may: {self.count(caller)} (serve.caller.max)"
        if caller:
            return f"this caller, by its {self._spec.header} header, has {limit}; wait until one has ended"
        return (
            f"callers without a {self._spec.header} header count as one, which has {limit}; "
            "send that header, or wait until one has ended"
        )
