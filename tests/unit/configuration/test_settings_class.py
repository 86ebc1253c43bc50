"""A class of settings: what may stand in it, when it counts, and what fits."""

import importlib
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar

import pytest

import servekit
from servekit import Setting, SettingsError, configure, context, settings
from servekit.configuration.process import PROCESS
from servekit.configuration.requests import overrides_schema, read_overrides
from servekit.errors import InputError


class Style(Enum):
    PLAIN = "plain"
    BOLD = "bold"


class Client:
    """Something that JSON cannot say."""


def declare_tuning() -> Any:
    class Tuning(servekit.Settings):
        temperature: float = Setting(0.7, ge=0, le=2, overridable=True)
        style: Style = Style.PLAIN
        words: tuple[str, ...] = ()
        client: Client = Setting()
        token: servekit.Secret = Setting(servekit.Secret("s3cret"), overridable=True)
        top: Annotated[int, Setting(ge=1, overridable=True)] = 5
        unit: ClassVar[str] = "points"

        @property
        def is_hot(self) -> bool:
            return self.temperature > 1

    return Tuning


def configure_values(values: dict[str, Any]) -> None:
    configure(**values)


def enter_context(values: dict[str, Any]) -> None:
    with context(**values):
        pass


def test_an_instance_reads_what_holds_now() -> None:
    tuning = declare_tuning()()

    configure(temperature=1.5)

    assert (tuning.temperature, tuning.is_hot, tuning.unit) == (1.5, True, "points")


def test_values_become_those_of_the_declared_types() -> None:
    declare_tuning()

    configure(style="bold", words=["a", "b"], top="3")

    assert (settings.style, settings.words, settings.top) == (Style.BOLD, ("a", "b"), 3)


def test_a_class_of_ones_own_is_a_type_as_well() -> None:
    declare_tuning()
    client = Client()

    configure(client=client)

    assert settings.client is client


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": "hot"}, r'^the setting temperature is "hot"; expected a number$'),
        ({"temperature": 3}, r"^the setting temperature is 3; expected at most 2$"),
        ({"temperature": float("nan")}, r"^the setting temperature is nan; expected a finite number$"),
        ({"words": ["a", 1]}, r"^the setting words\[1\] is 1; expected a string$"),
        ({"top": 0}, r"^the setting top is 0; expected at least 1$"),
        ({"client": 1}, r"^the setting client is 1; expected an instance of Client$"),
        ({"token": 1}, r"^the setting token is \*+; "),
    ],
)
@pytest.mark.parametrize("set_values", [configure_values, enter_context])
def test_a_value_that_does_not_fit_is_named_with_what_was_expected(
    set_values: Callable[[dict[str, Any]], None], values: dict[str, Any], message: str
) -> None:
    declare_tuning()

    with pytest.raises(SettingsError, match=message):
        set_values(values)


def test_all_faults_are_told_at_once() -> None:
    declare_tuning()

    with pytest.raises(SettingsError) as caught:
        configure(temperature="hot", tpo=1)

    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"temperature": 0.7}, r"Wrong\.temperature has no annotation; write its type, as in `temperature: float = "),
        (
            {"__annotations__": {"a": int}, "a": "x"},
            r'Wrong\.a, its default: the setting a is "x"; expected an integer',
        ),
        ({"__annotations__": {"a": "Nowhere"}}, r"Wrong: an annotation cannot be read: name 'Nowhere'"),
        ({"__annotations__": {"a": 3}}, r"Wrong\.a is annotated 3, which cannot be used: it is no type"),
        ({"__annotations__": {"_a": int}}, r"Wrong\._a begins with an underscore"),
        ({"__annotations__": {"a": str}, "a": Setting("x", ge=1)}, r"Wrong\.a: ge=1 needs a number"),
        ({"__annotations__": {"a": int}, "a": servekit.Input(1)}, r"Wrong\.a is described by servekit\.Input"),
        ({"__annotations__": {"a": int}, "a": Setting(overridable=True)}, r"Wrong\.a may be overridden.*a default"),
        (
            {"__annotations__": {"a": Client}, "a": Setting(Client(), overridable=True)},
            r"(?s)`a` is annotated .*An overridable setting must be of a type that JSON can say",
        ),
        (
            {"__annotations__": {"a": servekit.Path | None}, "a": Setting(None, overridable=True)},
            r"lets requests override files",
        ),
    ],
)
def test_a_class_that_cannot_be_used_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        type("Wrong", (servekit.Settings,), body)


def test_a_setting_without_a_value_says_so_when_it_is_read() -> None:
    declare_tuning()

    with pytest.raises(AttributeError, match=r"client has no value yet; give it a default in .*, or configure\(client"):
        _ = settings.client


def test_a_misspelt_setting_is_no_attribute_and_the_meant_one_is_named() -> None:
    declare_tuning()

    with pytest.raises(AttributeError, match='did you mean "temperature"'):
        _ = settings.temprature


def test_settings_are_not_assigned_to() -> None:
    declare_tuning()

    with pytest.raises(AttributeError, match=r"call servekit\.configure\(temperature=\.\.\.\)"):
        settings.temperature = 1


def test_without_a_class_there_is_nothing_to_configure() -> None:
    with pytest.raises(SettingsError, match="no settings are declared in this process"):
        configure(temperature=1)


def test_a_second_class_is_refused_and_both_are_named() -> None:
    declare_tuning()

    with pytest.raises(SettingsError, match=r"Other declares settings, and .*Tuning has done so already"):
        type("Other", (servekit.Settings,), {})


def test_a_derived_class_takes_the_place_of_its_base() -> None:
    base = declare_tuning()
    configure(temperature=0.1)

    class More(base):  # type: ignore[misc, valid-type] # a class that a function made
        top = 7
        extra: int = 1

    del More

    assert (settings.temperature, settings.top, settings.extra) == (0.1, 7, 1)


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Write a module with a class of settings, and import it or load it anew."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(fields: str) -> ModuleType:
        (tmp_path / "tuned_by_test.py").write_text(
            f"import servekit\nclass Tuning(servekit.Settings):\n    {fields}\n", encoding="utf-8"
        )
        importlib.invalidate_caches()
        loaded = sys.modules.get("tuned_by_test")
        if loaded is not None:
            return importlib.reload(loaded)
        module = importlib.import_module("tuned_by_test")
        monkeypatch.delitem(sys.modules, "tuned_by_test")  # at the end
        monkeypatch.setitem(sys.modules, "tuned_by_test", module)
        return module

    return make


def test_a_module_that_is_loaded_anew_keeps_what_was_configured_and_still_fits(
    make_module: Callable[[str], ModuleType],
) -> None:
    make_module("a: int = 1; b: int = 2; c: int = 3")
    configure(a=10, b=20)

    make_module("a: int = 1; b: list[int] = [2]; c: int = 4")

    assert dict(PROCESS.values) == {"a": 10, "b": [2], "c": 4}


def test_a_class_whose_module_is_gone_makes_room(make_module: Callable[[str], ModuleType]) -> None:
    make_module("a: int = 1")
    configure(a=2)
    del sys.modules["tuned_by_test"]

    declare_tuning()

    assert settings.temperature == 0.7


# ---------------------------------------------------------------------- what a request may override


def test_the_schema_has_the_overridable_settings_and_names_the_others() -> None:
    declare_tuning()

    schema = overrides_schema()

    assert schema is not None
    assert sorted(schema["properties"]) == ["temperature", "token", "top"]
    assert schema["x-servekit-fixed"] == ["style", "words", "client"]


def test_overrides_are_decoded_into_the_declared_types() -> None:
    declare_tuning()

    overrides = read_overrides({"settings": {"temperature": 1, "token": "other"}, "free": "key"})

    assert overrides == {"temperature": 1.0, "token": servekit.Secret("other")}
    assert type(overrides["temperature"]) is float


@pytest.mark.parametrize(
    ("given", "loc", "message"),
    [
        ({"temperature": "hot"}, ["temperature"], 'expected a number, got "hot"'),
        ({"temperature": 3}, ["temperature"], "expected at most 2, got 3"),
        ({"style": "bold"}, ["style"], 'the setting "style" cannot be overridden by a request'),
        ({"temprature": 1}, ["temprature"], 'unknown name; did you mean "temperature"?'),
        (3, [], "expected an object, got 3"),
    ],
)
def test_an_override_that_does_not_fit_is_a_problem_in_the_context(given: object, loc: list[str], message: str) -> None:
    declare_tuning()

    with pytest.raises(InputError) as caught:
        read_overrides({"settings": given})

    assert [(each["loc"], each["msg"]) for each in caught.value.problems] == [(["context", "settings", *loc], message)]


def test_without_a_class_settings_is_a_key_of_the_context_like_any_other() -> None:
    assert (read_overrides({"settings": "free"}), overrides_schema()) == ({}, None)
