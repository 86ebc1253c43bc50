"""Checking inputs against the JSON Schema alone, and hiding their secrets."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servekit.errors import InputError
from servekit.predictor import Input
from servekit.schema import InputChecker
from servekit.signature import inspect_signature
from servekit.types import Secret


class Box(pydantic.BaseModel):
    x: int
    label: str = "none"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    bone: str


class Login(pydantic.BaseModel):
    token: Secret
    user: str = "me"


class Tree(pydantic.BaseModel):
    key: Secret | None = None
    children: "list[Tree]" = []


def predict(  # noqa: PLR0917 - one of each kind
    text: str,
    n: int = Input(3, ge=1, le=9),
    name: str = Input("ab", min_length=2, max_length=4, regex="^a"),
    mode: str = Input("fast", choices=["fast", "slow"]),
    boxes: list[Box] = Input([]),
    pair: tuple[int, str] = (1, "a"),
    tags: set[int] = Input([]),
    either: int | str = 1,
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")] | None = None,
    table: dict[str, int] = Input({}),
    limit: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.5,
    flag: bool = False,
    option: Literal["a", "b"] | None = None,
    day: dt.date | None = None,
    anything: Any = None,
) -> None: ...


SIGNATURE = inspect_signature(predict, "p")
CHECKER = InputChecker(SIGNATURE.input_schema)


def problems_of(call: Callable[[], Any]) -> list[dict[str, Any]]:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


def check(raw: bytes) -> list[dict[str, Any]]:
    return problems_of(lambda: CHECKER.check(raw))


WRONG = [
    (b"{}", "text", "missing, and it has no default"),
    (b'{"text":1}', "text", "expected a string, got 1"),
    (b'{"text":null}', "text", "expected a string, got null"),
    (b'{"text":"a","n":"x"}', "n", 'expected an integer, got "x"'),
    (b'{"text":"a","n":0}', "n", "expected at least 1, got 0"),
    (b'{"text":"a","n":10}', "n", "expected at most 9, got 10"),
    (b'{"text":"a","limit":0}', "limit", "expected more than 0, got 0"),
    (b'{"text":"a","limit":1}', "limit", "expected less than 1, got 1"),
    (b'{"text":"a","name":"a"}', "name", 'expected at least 2 characters, got "a"'),
    (b'{"text":"a","name":"abcde"}', "name", 'expected at most 4 characters, got "abcde"'),
    (b'{"text":"a","name":"bb"}', "name", 'expected text that matches ^a, got "bb"'),
    (b'{"text":"a","mode":"warp"}', "mode", "expected 'fast' or 'slow', got \"warp\""),
    (b'{"text":"a","boxes":1}', "boxes", "expected a list, got 1"),
    (b'{"text":"a","boxes":[{"x":1},{}]}', "boxes.1.x", "missing, and it has no default"),
    (b'{"text":"a","boxes":[{"x":"no"}]}', "boxes.0.x", 'expected an integer, got "no"'),
    (b'{"text":"a","boxes":[3]}', "boxes.0", "expected an object, got 3"),
    (b'{"text":"a","pair":[1,2]}', "pair.1", "expected a string, got 2"),
    (b'{"text":"a","either":1.5}', "either", "expected an integer or a string, got 1.5"),
    (b'{"text":"a","pet":{"kind":"cat","lives":"x"}}', "pet.lives", 'expected an integer, got "x"'),
    (b'{"text":"a","table":{"k":"v"}}', "table.k", 'expected an integer, got "v"'),
    (b'{"text":"a","flag":"maybe"}', "flag", 'expected a boolean, got "maybe"'),
    (b'{"text":"a","option":"c"}', "option", "expected 'a' or 'b', got \"c\""),
    (b'{"text":"a","txt":1}', "txt", 'unknown name; did you mean "text"?'),
    (b"[]", "", "expected an object, got []"),
]


@pytest.mark.parametrize(("raw", "path", "message"), WRONG)
def test_a_wrong_input_is_named_with_path_and_expectation(raw: bytes, path: str, message: str) -> None:
    [problem] = check(raw)

    assert (".".join(str(part) for part in problem["loc"][1:]), problem["msg"]) == (path, message)


@pytest.mark.parametrize("raw", [raw for raw, _, _ in WRONG])
def test_the_check_and_the_decoding_say_the_same(raw: bytes) -> None:
    decoded = problems_of(lambda: SIGNATURE.decode_input(raw))

    checked = check(raw)
    # JSON Schema writes a limit as the number that pydantic put there, and a Literal's null in front.
    assert [(each["loc"], each["type"]) for each in decoded] == [(each["loc"], each["type"]) for each in checked]
    assert decoded[0]["msg"] == checked[0]["msg"]


def test_all_problems_are_found_at_once() -> None:
    problems = check(b'{"n":0,"mode":1,"nam":"a","boxes":[{"x":"a"}]}')

    assert {".".join(map(str, each["loc"][1:])) for each in problems} == {"text", "n", "mode", "nam", "boxes.0.x"}


def test_a_million_wrong_items_have_fifty_problems() -> None:
    raw = b'{"text":"a","boxes":[%s]}' % b",".join([b"1"] * 100_000)

    assert len(check(raw)) == 50


def test_a_valid_input_passes_as_bytes_and_as_memoryview() -> None:
    raw = b'{"text":"a","n":1,"option":null,"day":"2024-01-01","anything":{"a":[1]}}'

    CHECKER.check(raw)
    CHECKER.check(memoryview(raw))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"text":"\xff"}', "not valid JSON"),
        (b'{"text":NaN}', "not valid JSON"),
        (b'{"text":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"anything":' + b"[" * 700 + b"]" * 700 + b"}", "nested too deeply|missing"),
        (b'{"text":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "nested too deeply"),
    ],
)
def test_what_is_no_proper_json_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CHECKER.check(raw)


@pytest.mark.parametrize("key", ["0", "00", "+1", "-1", "", "a/b", "~1", "9" * 5000])
def test_a_strange_key_is_no_trouble(key: str) -> None:
    [problem] = check(json.dumps({"text": "a", "table": {key: "wrong"}}).encode())

    assert problem["msg"] == 'expected an integer, got "wrong"'
    assert problem["loc"] == (["input", "table", key] if key else ["input", "table"])


@pytest.mark.parametrize(
    "raw", [b'{"x":{"":{"token":5},"token":"tiger","0":{"token":["tiger"]}}}', b'{"x":{"":{"token":["tiger"]}}}']
)
def test_a_strange_key_does_not_lead_to_a_secret(raw: bytes) -> None:
    assert "tiger" not in json.dumps(problems_of(lambda: checker_of(dict[str, Login]).check(raw)))


def test_items_that_must_differ_are_told() -> None:
    [problem] = check(b'{"text":"a","tags":[1,1]}')

    assert problem["msg"] == "expected items that are all different, got some twice"


def test_a_pattern_that_only_python_knows_is_left_to_the_worker() -> None:
    def named(code: str = Input(regex=r"(?P<letter>a)\Z")) -> None: ...

    signature = inspect_signature(named, "p")

    InputChecker(signature.input_schema).check(b'{"code":"b"}')

    with pytest.raises(InputError, match="expected text that matches"):
        signature.decode_input(b'{"code":"b"}')


def checker_of(annotation: Any) -> InputChecker:
    def secret(x: Any) -> None: ...

    secret.__annotations__["x"] = annotation
    return InputChecker(inspect_signature(secret, "p").input_schema)


@pytest.mark.parametrize(
    ("annotation", "given_", "hidden"),
    [
        (Secret, '"tiger"', '"**********"'),
        (Secret | None, "null", "null"),
        (pydantic.SecretStr, '"tiger"', '"**********"'),
        (list[Secret], '["tiger","cat"]', '["**********","**********"]'),
        (dict[str, Secret], '{"a":"tiger"}', '{"a":"**********"}'),
        (Login, '{"token":"tiger","user":"me"}', '{"token":"**********","user":"me"}'),
        (list[Login | int], '[1,{"token":"tiger"}]', '[1,{"token":"**********"}]'),
        (tuple[int, Secret], '[1,"tiger"]', '[1,"**********"]'),
        (Tree, '{"children":[{"key":"tiger"},{"key":null}]}', '{"children":[{"key":"**********"},{"key":null}]}'),
        (Login, '{"tokn":"tiger"}', '{"tokn":"**********"}'),
        (Login, '"tiger"', '"**********"'),
    ],
)
def test_secrets_are_hidden_wherever_they_are(annotation: Any, given_: str, hidden: str) -> None:
    assert checker_of(annotation).redact(f'{{"x":{given_}}}'.encode()) == f'{{"x":{hidden}}}'.encode()


def test_an_input_without_secrets_is_passed_on_as_it_came() -> None:
    raw = b'{"x" :  1}'

    assert checker_of(int).redact(raw) is raw


def test_a_deeply_nested_secret_is_hidden_in_time() -> None:
    depth = 300
    raw = b'{"x":' + b'{"children":[' * depth + b'{"key":"tiger"}' + b"]}" * depth + b"}"

    assert b"tiger" not in checker_of(Tree).redact(raw)


@pytest.mark.parametrize("raw", [b'{"x":5}', b'{"x":["tiger"]}', b'{"x":"a","y":"tiger"}'])
def test_the_check_never_shows_a_secret(raw: bytes) -> None:
    problems = problems_of(lambda: checker_of(Secret).check(raw))

    assert "tiger" not in json.dumps(problems)
    assert "5" not in json.dumps(problems)


KEYS = st.sampled_from(["", "0", "00", "+1", "x", "kind", "lives"]) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(sorted(SIGNATURE.input_schema["properties"])) | st.text(max_size=3)


def outcome(call: Callable[[], Any]) -> bool:
    try:
        call()
    except InputError:
        return False
    return True


@settings(max_examples=300, deadline=None)
@given(document=st.dictionaries(NAMES, JSON, max_size=6))
def test_no_document_crashes_a_check_and_what_decodes_strictly_passes(document: dict[str, Any]) -> None:
    raw = json.dumps(document).encode()

    passes = outcome(lambda: CHECKER.check(raw))
    decodes = outcome(lambda: SIGNATURE.decode_input(raw))

    # What the schema lets through fails to decode only where the schema cannot say more: a date is text to it.
    assert decodes or not passes or "day" in document
