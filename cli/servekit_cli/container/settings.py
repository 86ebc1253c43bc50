"""The `serve` settings of an image, with what variables and flags override."""

import json
from collections.abc import Mapping

from servekit.spec import (
    MODE_VARIABLE,
    SETTINGS_VARIABLE,
    ServeSpec,
    Spec,
    apply_overrides,
    list_settings,
    read_settings,
    wants_training,
)
from servekit_cli.container.image import ModelImage

__all__ = ["choose_mode_variable", "collect_variables", "override_serve"]


def override_serve(serve: ServeSpec, environ: Mapping[str, str], flags: Mapping[str, object]) -> ServeSpec:
    """Return the settings as the server in the container will have them.

    Raises:
        UsageError: A variable or a flag does not fit its field.
    """
    return apply_overrides(Spec.model_construct(serve=serve), environ, flags).serve


def collect_variables(environ: Mapping[str, str], flags: Mapping[str, object]) -> dict[str, str]:
    """Write what variables and flags set as variables of a container.

    Args:
        environ: The variables of this process, and those that the user gives the container.
        flags: Values by `Setting.name`, as text or a bool; None counts as not given. The author's own settings,
            those of `--set`, become one variable.

    Raises:
        UsageError: What is said of the author's own settings cannot be read.
    """
    variables: dict[str, str] = {}
    for setting in list_settings():
        own, *others = setting.variables
        value = flags.get(setting.name)
        if value is None:
            value = next((text for name in (own, *others) if (text := environ.get(name))), None)
        if value is not None:
            variables[own] = str(value).lower() if isinstance(value, bool) else str(value)
    if values := read_settings(environ, flags):
        variables[SETTINGS_VARIABLE] = json.dumps(values)
    return variables


def choose_mode_variable(image: ModelImage, environ: Mapping[str, str], flag: bool | None) -> dict[str, str]:
    """Say by a variable of a container whether it serves predictions or trainings; empty if nobody says so.

    Args:
        image: What it is made of.
        environ: The variables of this process, and those that the user gives the container.
        flag: What the command line says, which wins; None counts as not given.

    Raises:
        UsageError: The image does not do what is asked for, or the variable cannot be read.
    """
    is_wanted = wants_training(environ, flag)
    if is_wanted is None:
        return {}
    image.find_model("train" if is_wanted else "predict")
    return {MODE_VARIABLE: str(is_wanted).lower()}
