"""What an author writes, `BasePredictor` and `Input`, and how `predict.py:Predictor` is found and loaded."""

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MethodType
from typing import Any, Final, Literal, cast

from servekit.errors import PredictorError, SignatureError
from servekit.importer import import_target

__all__ = [
    "REQUIRED",
    "BasePredictor",
    "Input",
    "InputField",
    "LoadedPredictor",
    "PredictorHandle",
    "load_predictor",
    "refuse_uncallable",
    "unbound_method",
]

REQUIRED: Final = ...
"""The default of an input that must be given."""


class BasePredictor:
    """What servekit calls; inheriting it is optional, and so is everything but `predict`.

    Each method may be sync or async, and `predict` may also be a generator of either kind. Nothing
    here fixes the arguments of `predict`: its own annotations become the schema.
    """

    def setup(self, *args: Any, **kwargs: Any) -> Any:
        """Load the model; runs once per worker, before its first prediction."""

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Run one prediction: return a value, or yield items to stream them."""
        raise NotImplementedError

    def healthcheck(self, *args: Any, **kwargs: Any) -> Any:
        """Return False, or raise, when this worker should get no more predictions."""
        del args, kwargs
        return True

    def teardown(self, *args: Any, **kwargs: Any) -> Any:
        """Let go of what `setup` took; runs once, when the worker ends."""

    def batch(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        max_concurrency: int = 1,
        on_error: Literal["raise", "collect"] = "raise",
    ) -> list[Any]:
        """Call `predict` of this very instance for each of the inputs, in this process, and return what they gave.

        For notebooks and scripts: values go in and come out as they are, unchecked, and no prediction's scope is around
        them. What a generator yields becomes a list. A predictor that takes batches is called with as many inputs
        at once as its `@batch` says, or 32. `servekit.run_batch` is for more rows than fit into memory.

        Args:
            inputs: The inputs by name of each call; those that have a default may be left out.
            max_concurrency: How many calls may run at once: in threads, for which `predict` must be fit then, or, if it
                is async, in tasks of an event loop made for this.
            on_error: `"raise"`: the first exception is raised, and nothing is begun after it. `"collect"`: an exception
                takes the place of its result.

        Returns:
            One value for each of the inputs, in their order.

        Raises:
            OutputError: A predictor that takes batches gave more values, or fewer, than there were inputs.
            RuntimeError: `predict` is async and this thread runs an event loop already.
        """
        from servekit.calls import predict_all  # noqa: PLC0415 - not for workers, who have no use for it

        defaults = _read_defaults(self.predict)
        complete = ({**defaults, **given} for given in inputs)
        return predict_all(self.predict, complete, max_concurrency=max_concurrency, on_error=on_error)


@dataclasses.dataclass(frozen=True, slots=True)
class InputField:
    """What `Input(...)` says about one parameter; checked when the signature is read.

    `extensions` are further keys of the parameter's schema, whose names begin with `x-`.
    """

    default: Any = REQUIRED
    description: str | None = None
    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    lt: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    regex: str | None = None
    choices: Sequence[Any] | None = None
    deprecated: bool = False
    examples: Sequence[Any] | None = None
    extensions: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])


def Input(  # noqa: N802 - reads as a declaration, and is the name that authors know
    default: Any = REQUIRED,
    *,
    description: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    regex: str | None = None,
    choices: Iterable[Any] | None = None,
    deprecated: bool = False,
    examples: Sequence[Any] | None = None,
) -> Any:
    """Describe and limit one parameter of `predict`.

    Args:
        default: The value when none is given; without it the input is required. `None` makes it optional.
        description: What the input does, for people.
        ge: A number must be at least this.
        le: A number must be at most this.
        gt: A number must be greater than this.
        lt: A number must be less than this.
        min_length: The least number of characters or items.
        max_length: The greatest number of characters or items.
        regex: A pattern that must be found in the text; anchor it with `^` and `$` to match all of it.
        choices: The only values allowed.
        deprecated: Shown in the schema; the input still works.
        examples: Values shown in the schema.

    Returns:
        The declaration. It is typed `Any`, so that `n: int = Input(ge=1)` passes a type checker.
    """
    return InputField(
        default=default,
        description=description,
        ge=ge,
        le=le,
        gt=gt,
        lt=lt,
        min_length=min_length,
        max_length=max_length,
        regex=regex,
        choices=None if choices is None else tuple(choices),
        deprecated=deprecated,
        examples=examples,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class PredictorHandle:
    """A predictor that exists; the optional methods are None where the author wrote none."""

    predict: Callable[..., Any]
    setup: Callable[..., Any] | None = None
    healthcheck: Callable[..., Any] | None = None
    teardown: Callable[..., Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedPredictor:
    """A predictor whose module is imported and of which no instance exists yet.

    Attributes:
        reference: The reference it was loaded by.
        target: The class or function that the reference names.
        is_class: Whether `target` is a class.
        predict: `predict` as it takes its inputs, without `self`. For inspection only; call the handle's.
    """

    reference: str
    target: Any
    is_class: bool
    predict: Callable[..., Any]

    @property
    def has_healthcheck(self) -> bool:
        """Whether the author wrote a `healthcheck`."""
        return self.is_class and _has_own(self.target, "healthcheck")

    def instantiate(self) -> PredictorHandle:
        """Make the instance; what the author's `__init__` raises travels on untouched."""
        if not self.is_class:
            return PredictorHandle(self.target)
        instance = self.target()
        written = [name for name in ("setup", "healthcheck", "teardown") if _has_own(self.target, name)]
        return PredictorHandle(instance.predict, **{name: getattr(instance, name) for name in written})


def _read_defaults(predict: Callable[..., Any]) -> dict[str, Any]:
    """Return the values of inputs that may be left out, those that `Input` names included."""
    defaults = {each.name: each.default for each in inspect.signature(predict).parameters.values()}
    values = {name: each.default if isinstance(each, InputField) else each for name, each in defaults.items()}
    return {
        name: value for name, value in values.items() if value is not REQUIRED and value is not inspect.Parameter.empty
    }


def load_predictor(reference: str, root: Path) -> LoadedPredictor:
    """Import the module that `reference` names and find the predictor in it.

    `root` is put first on `sys.path`. An exception raised inside the author's module travels on
    untouched, with the author's traceback.

    Args:
        reference: `file.py:Class`, `file.py:function` or `package.module:Name`; files are relative to `root`.
        root: The project's folder.

    Raises:
        PredictorError: The reference is malformed, or names something that is not there or not a predictor.
        SignatureError: The class's `predict` takes no `self`.
    """
    target = import_target(reference, root)
    if inspect.isclass(target):
        _refuse_missing_predict(target, reference)
        return LoadedPredictor(reference, target, is_class=True, predict=unbound_method(target, "predict", reference))
    refuse_uncallable(target, reference)
    return LoadedPredictor(reference, target, is_class=False, predict=target)


def refuse_uncallable(target: object, reference: str) -> None:
    """Refuse what a reference names if it can be no predictor at all.

    Raises:
        PredictorError: It cannot be called.
    """
    if not callable(target):
        message = (
            f"{reference} is {_article(type(target).__name__)}, not a predictor; "
            "name a class with a predict method, or a function"
        )
        raise PredictorError(message)


def unbound_method(target: Any, name: str, reference: str) -> Callable[..., Any]:
    """Return the method of a class as it takes its inputs, without `self`. For inspection only.

    Raises:
        PredictorError: The class cannot be made without arguments, or the method is none.
        SignatureError: The method takes no `self`.
    """
    _refuse_arguments(target, reference)
    method: Any = getattr(target, name)
    if inspect.isfunction(inspect.getattr_static(target, name)):
        _refuse_missing_self(method, reference)
        # Bound to the class, for want of an instance: that takes `self` off its signature. It is never called.
        return MethodType(method, target)
    if not callable(method):
        message = f"{reference}: {name} is {_article(type(method).__name__)}; write `def {name}(self, ...)`"
        raise PredictorError(message)
    return cast("Callable[..., Any]", method)


def _refuse_missing_predict(target: Any, reference: str) -> None:
    if not _has_own(target, "predict"):
        methods = [name for name, _ in inspect.getmembers_static(target, inspect.isfunction) if name != "predict"]
        near = difflib.get_close_matches("predict", methods, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        message = f"{reference} has no predict method{hint}; write `def predict(self, ...)`"
        raise PredictorError(message)


def _refuse_arguments(target: Any, reference: str) -> None:
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:  # a class written in C that does not tell
        return
    needed = [each.name for each in parameters if each.default is each.empty and each.kind not in (2, 4)]
    if needed:
        message = (
            f"{reference} cannot be made: its __init__ needs {', '.join(needed)}. "
            "Write an __init__ without arguments, and load the model in setup"
        )
        raise PredictorError(message)


_SELF_NAMES: Final = frozenset({"self", "_self", "this", "_"})


def _refuse_missing_self(method: Callable[..., Any], reference: str) -> None:
    """Refuse `def predict(x: int)` in a class, whose instance would be taken for `x`."""
    parameters = list(inspect.signature(method).parameters.values())
    first = parameters[0] if parameters else None
    if first is not None:
        if first.name in _SELF_NAMES or first.kind is first.VAR_POSITIONAL:
            return
        is_declared = not (first.annotation is first.empty and first.default is first.empty)
        # Whatever its name, a first one of several that says nothing of itself is as good a `self` as any.
        if not is_declared and len(parameters) > 1 and first.kind is not first.KEYWORD_ONLY:
            return
    names = "".join(f", {each.name}" for each in parameters)
    name = method.__name__
    message = f"{reference}: {name} takes no self; write `def {name}(self{names})`"
    raise SignatureError(message)


def _has_own(target: Any, name: str) -> bool:
    """Whether a class has a method of its own rather than what `BasePredictor` has for all."""
    method = getattr(target, name, None)
    return method is not None and method is not getattr(BasePredictor, name)


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
