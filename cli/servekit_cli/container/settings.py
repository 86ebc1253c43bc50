"""The `serve` settings of an image, with what variables and flags override."""

from collections.abc import Mapping

from servekit.spec import ServeSpec, Spec, apply_overrides, list_settings

__all__ = ["collect_variables", "override_serve"]


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
        flags: Values by `Setting.name`, as text or a bool; None counts as not given.
    """
    variables: dict[str, str] = {}
    for setting in list_settings():
        own, *others = setting.variables
        value = flags.get(setting.name)
        if value is None:
            value = next((text for name in (own, *others) if (text := environ.get(name))), None)
        if value is not None:
            variables[own] = str(value).lower() if isinstance(value, bool) else str(value)
    return variables
