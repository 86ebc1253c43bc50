from pathlib import Path

import pytest
from pydantic import BaseModel

from servekit.errors import UsageError
from servekit.spec import QueueSpec, Range, ServeSpec, Setting, Spec, apply_overrides, list_settings

SPEC = Spec(predictor="predict.py:Predictor", path=Path("/project/servekit.yaml"))

RANGED = apply_overrides(SPEC, {"SERVEKIT_CONCURRENCY": "1-2"})

# A value other than the default for each kind of field, so that every field can be seen to change.
OTHER = {"host": "127.0.0.1", "port": "81", "recycle_memory_limit": "1GB", "upload_url": "https://example.org"}


def other_value(setting: Setting) -> str:
    if setting.is_switch:
        return "false" if setting.default == "true" else "true"
    if setting.choices:
        return next(choice for choice in setting.choices if choice != setting.default)
    return OTHER.get(setting.name, "7")


def base_for(setting: Setting) -> Spec:
    """Return a spec in which a field has an effect, without which it is refused."""
    return RANGED if setting.name == "target_latency" else SPEC


def leaves(serve: ServeSpec) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in serve:
        if isinstance(value, BaseModel):
            found.update({f"{name}_{inner}": leaf for inner, leaf in value})
        else:
            found[name] = value
    return found


def test_every_serve_field_is_a_setting() -> None:
    assert [setting.name for setting in list_settings()] == list(leaves(ServeSpec()))


@pytest.mark.parametrize("setting", list_settings(), ids=lambda setting: setting.name)
def test_every_serve_field_is_set_by_its_variable_alone(setting: Setting) -> None:
    base = base_for(setting)
    changed = apply_overrides(base, {setting.variables[0]: other_value(setting)})

    differing = {name for name, value in leaves(changed.serve).items() if value != leaves(base.serve)[name]}
    assert differing == {setting.name}


@pytest.mark.parametrize("setting", list_settings(), ids=lambda setting: setting.name)
def test_a_flag_does_what_the_variable_does(setting: Setting) -> None:
    base, value = base_for(setting), other_value(setting)

    assert apply_overrides(base, {}, {setting.name: value}) == apply_overrides(base, {setting.variables[0]: value})


@pytest.mark.parametrize("setting", list_settings(), ids=lambda setting: setting.name)
def test_a_default_as_it_is_shown_means_the_default(setting: Setting) -> None:
    assert apply_overrides(SPEC, {setting.variables[0]: setting.default}) == SPEC


def test_no_two_settings_share_a_variable() -> None:
    variables = [variable for setting in list_settings() for variable in setting.variables]

    assert len(variables) == len(set(variables))


def test_names_are_made_of_the_path() -> None:
    setting = next(setting for setting in list_settings() if setting.path == ("fetch", "max_size"))

    assert (setting.flag, setting.variables) == ("--fetch-max-size", ("SERVEKIT_FETCH_MAX_SIZE",))


def test_a_flag_wins_over_a_variable() -> None:
    spec = apply_overrides(SPEC, {"SERVEKIT_WORKERS": "2"}, {"workers": "3"})

    assert spec.serve.workers == Range(3, 3)


def test_a_variable_wins_over_the_file() -> None:
    spec = SPEC.model_copy(update={"serve": ServeSpec(workers=Range(5, 5))})

    assert apply_overrides(spec, {"SERVEKIT_WORKERS": "2"}).serve.workers == Range(2, 2)


def test_a_range_is_one_text_in_a_variable() -> None:
    assert apply_overrides(SPEC, {"SERVEKIT_CONCURRENCY": "2-8"}).serve.concurrency == Range(2, 8)


def test_port_is_read_where_platforms_put_it() -> None:
    assert apply_overrides(SPEC, {"PORT": "8080"}).serve.port == 8080


def test_our_own_port_variable_wins_over_the_platforms() -> None:
    assert apply_overrides(SPEC, {"PORT": "8080", "SERVEKIT_PORT": "81"}).serve.port == 81


def test_an_empty_variable_sets_nothing() -> None:
    assert apply_overrides(SPEC, {"SERVEKIT_WORKERS": ""}) == SPEC


def test_none_takes_a_limit_away() -> None:
    assert apply_overrides(SPEC, {"SERVEKIT_TIMEOUT": "none"}).serve.timeout is None


def test_one_field_of_a_section_leaves_the_others_as_the_file_says() -> None:
    spec = SPEC.model_copy(update={"serve": ServeSpec.model_validate({"queue": {"timeout": "7s"}})})

    assert apply_overrides(spec, {}, {"queue_max": 3}).serve.queue == QueueSpec(max=3, timeout=7.0)


def test_what_is_not_about_serve_stays() -> None:
    assert apply_overrides(SPEC, {"SERVEKIT_WORKERS": "2"}).path == SPEC.path


def test_a_bad_value_names_its_variable() -> None:
    with pytest.raises(UsageError, match=r'^SERVEKIT_WORKERS is "many"; it must be a whole number'):
        apply_overrides(SPEC, {"SERVEKIT_WORKERS": "many"})


def test_a_bad_value_names_its_flag() -> None:
    with pytest.raises(UsageError, match=r'^--max-body is "big"; a size is'):
        apply_overrides(SPEC, {"SERVEKIT_MAX_BODY": "1MB"}, {"max_body": "big"})


def test_a_value_of_the_file_that_an_override_contradicts_is_named_as_the_file_does() -> None:
    spec = apply_overrides(RANGED, {"SERVEKIT_TARGET_LATENCY": "1s"})

    with pytest.raises(UsageError, match=r"^serve\.target_latency is .*concurrency is a single number"):
        apply_overrides(spec, {"SERVEKIT_CONCURRENCY": "4"})


def test_all_bad_values_are_told_at_once() -> None:
    with pytest.raises(UsageError, match=r"PORT is(.|\n)*--log-level is"):
        apply_overrides(SPEC, {"PORT": "web"}, {"log_level": "loud"})
