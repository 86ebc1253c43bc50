"""The settings of the process.

Readers take no lock: they look into one mapping, which is never changed but replaced as a whole. Writers
take turns. Values come in three strengths: the defaults of the class, what was given from outside before the
class was there (the spec's `settings`), and what the code configured. Of the last kind are also those that a worker
process has from the program that started it (see `inheritance`); and who has started such processes follows what
is configured here.
"""

import threading
import warnings
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from servekit.errors import NoScopeError, SettingsError
from servekit.scope import current_scopes

if TYPE_CHECKING:
    from servekit.configuration.carrying import Carried, Follower
    from servekit.configuration.declaration import Declaration

__all__ = ["PROCESS", "ProcessSettings"]

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class ProcessSettings:
    """What is declared and configured in this process.

    Attributes:
        declaration: The class that was declared; None before.
        values: The value of every setting that has one. Never changed, only replaced.
        followers: Who is told what is configured.
    """

    __slots__ = (
        "_configured",
        "_given",
        "_has_warned",
        "_inherited",
        "_lock",
        "_version",
        "_versions",
        "_writers",
        "declaration",
        "followers",
        "values",
    )

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a validator of the author's, run under it, may come back
        self._clear()

    def _clear(self) -> None:
        self.declaration: Declaration | None = None
        self.values: Mapping[str, Any] = _NOTHING
        self._configured: Mapping[str, Any] = _NOTHING
        self._given: Mapping[str, Any] = _NOTHING
        self._inherited: Mapping[str, bytes] = {}
        self.followers: tuple[Follower, ...] = ()
        self._version = 0  # counts what was configured
        self._versions: Mapping[str, int] = {}  # of each name, when it was last
        self._writers: dict[str, int] = {}
        self._has_warned = False

    def require(self) -> "Declaration":
        """Return the class that was declared.

        Raises:
            SettingsError: There is none.
        """
        if self.declaration is None:
            raise SettingsError(_NOTHING_DECLARED)
        return self.declaration

    def declare(self, declaration: "Declaration") -> None:
        """Take a class as that of this process; the same one again, after a reload, keeps what was configured.

        Raises:
            SettingsError: Another class is declared already.
        """
        with self._lock:
            old = self.declaration
            if old is not None and not declaration.may_replace(old):
                raise SettingsError(_TWO_CLASSES.format(new=declaration.where, old=old.where))
            keeps = old is not None and declaration.continues(old)
            configured = declaration.keep_fitting(self._configured) if keeps else _NOTHING
            # What does not fit is told by `confirm_given`, when the class's module has been imported as a whole.
            given = declaration.keep_fitting(self._given)
            inherited = declaration.read_fitting(self._inherited)
            self.declaration = declaration
            self._configured = {**inherited, **configured}
            self._writers = {name: writer for name, writer in self._writers.items() if name in configured}
            self._versions = {name: self._versions.get(name, 0) for name in self._configured}
            self.values = {**declaration.defaults, **given, **self._configured}

    def configure(self, values: Mapping[str, Any]) -> None:
        """Set values for the whole process; see `servekit.configure`."""
        _refuse_in_prediction(values)
        declaration = self.require()
        checked = declaration.check(values)  # before the lock: it may run the author's validators
        with self._lock:
            if self.declaration is not declaration:
                raise SettingsError(f"{declaration.where} was declared anew meanwhile; configure once that is done")
            crossed = self._note_writers(checked)
            self._set(checked)
        self._tell(checked)
        if crossed is not None:
            warnings.warn(_TWO_WRITERS.format(name=crossed), RuntimeWarning, stacklevel=3)

    def give(self, values: Mapping[str, Any]) -> None:
        """Set values from outside, for a class that may be declared later; `confirm_given` comes after that."""
        with self._lock:
            self._given = dict(values)

    def confirm_given(self) -> None:
        """Apply what was given from outside, below what the code has configured.

        Raises:
            SettingsError: It does not fit, or no class is declared.
        """
        given = self._given
        if not given:
            return
        declaration = self.require()
        checked = declaration.check(given)
        with self._lock:
            self.values = {**declaration.defaults, **checked, **self._configured}

    # ------------------------------------------------------------------ other processes

    def inherit(self, values: Mapping[str, bytes]) -> None:
        """Set what another process has configured, as JSON, for a class that may be declared later.

        What does not fit is left out; who adopts the values afterwards learns of it.
        """
        with self._lock:
            self._inherited = values

    def adopt(self, values: Mapping[str, Any]) -> None:
        """Set values that are checked already and come from another process: nobody here has written them."""
        if values:
            with self._lock:
                self._writers = {name: writer for name, writer in self._writers.items() if name not in values}
                self._set(values)
            self._tell(values)

    def follow(self, follower: "Follower") -> None:
        """Have somebody told what is configured: once now, if anything is, and after each change."""
        with self._lock:
            self.followers = (*self.followers, follower)
        carried = self._pack()
        if carried is not None:
            follower(carried)
            _warn_refused(carried.refused.values())

    def unfollow(self, follower: "Follower") -> None:
        """Tell somebody no more; nothing happens if nobody would."""
        with self._lock:
            self.followers = tuple(each for each in self.followers if each != follower)

    def pack_overlay(self, values: Mapping[str, Any]) -> bytes:
        """Return the values of an overlay as they travel with a prediction; warn of those that cannot."""
        from servekit.configuration.carrying import pack_values  # noqa: PLC0415 - loads msgspec

        payload, refused = pack_values(self.require(), values)
        _warn_refused(refused.values())
        return payload

    def _tell(self, names: Collection[str]) -> None:
        """Tell the followers, each of the same; then warn of those among the names that they cannot be told."""
        followers = self.followers
        carried = self._pack() if followers else None
        if carried is not None:
            for follower in followers:
                follower(carried)
            _warn_refused([reason for name, reason in carried.refused.items() if name in names], stacklevel=5)

    def _pack(self) -> "Carried | None":
        from servekit.configuration.carrying import pack_numbered  # noqa: PLC0415 - loads msgspec

        with self._lock:
            declaration, values = self.declaration, self._configured
            versions, version = self._versions, self._version
        if declaration is None or not values:
            return None
        return pack_numbered(declaration, values, versions, version)  # beyond the lock: it runs the author's types

    # ------------------------------------------------------------------ tests

    @contextmanager
    def isolated(self) -> Generator[None]:
        """Forget everything until the block ends."""
        names = [name for name in self.__slots__ if name != "_lock"]
        with self._lock:
            saved = {name: getattr(self, name) for name in names}
            self._clear()
        try:
            yield
        finally:
            with self._lock:
                for name, value in saved.items():
                    setattr(self, name, value)

    def _set(self, values: Mapping[str, Any]) -> None:
        """Configure checked values; under the lock."""
        self._version += 1
        self._versions = {**self._versions, **dict.fromkeys(values, self._version)}
        self._configured = {**self._configured, **values}
        self.values = {**self.values, **values}

    def _note_writers(self, values: Mapping[str, Any]) -> str | None:
        """Remember who set what; return a name that changed hands, the first time that one does."""
        thread = threading.get_ident()
        crossed = [
            name
            for name, value in values.items()
            if self._writers.get(name, thread) != thread and not _is_same(value, self.values.get(name))
        ]
        self._writers.update(dict.fromkeys(values, thread))
        if not crossed or self._has_warned:
            return None
        self._has_warned = True
        return crossed[0]


PROCESS: Final = ProcessSettings()
"""Those of this process. A constant: what changes is inside."""

_NOTHING_DECLARED: Final = (
    "no settings are declared in this process; import the module that holds your class of servekit.Settings first, "
    "or write one: class Tuning(servekit.Settings): temperature: float = 0.7"
)
_TWO_CLASSES: Final = (
    "{new} declares settings, and {old} has done so already; a process has one class of them. "
    "Put all settings into one, or derive the one from the other"
)
_TWO_WRITERS: Final = (
    "configure() changed {name}, which another thread had set; every thread sees the new value. "
    "For a value of one thread or task use servekit.context(). This is said once"
)

_NOT_CARRIED: Final = (
    "{reason}. It holds in this process; its worker processes keep the value that they have. "
    "Configure it in the predictor's setup() instead, which each of them runs"
)


def _refuse_in_prediction(values: Mapping[str, Any]) -> None:
    try:
        scopes = current_scopes()
    except NoScopeError:
        return
    names = ", ".join(f"{name}=..." for name in values)
    raise SettingsError(
        f"configure({names}) was called in the prediction {scopes[0].id}, and would change every other one; "
        f"write `with servekit.context({names}):` for this one, or call configure in setup"
    )


def _warn_refused(reasons: Iterable[str], stacklevel: int = 3) -> None:
    for reason in reasons:
        warnings.warn(_NOT_CARRIED.format(reason=reason), RuntimeWarning, stacklevel=stacklevel)


def _is_same(new: Any, old: Any) -> bool:
    """Whether a value is no change, as far as that can be told without running foreign comparisons."""
    return new is old or (isinstance(new, str | int | float | bool) and type(new) is type(old) and new == old)
