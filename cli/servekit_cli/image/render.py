"""A Dockerfile as text."""

import json
from collections.abc import Iterable
from functools import cache

from jinja2 import Environment, StrictUndefined

from servekit_cli.image.steps import BindMount, CacheMount, Dockerfile, Mount, SecretMount
from servekit_templates import read_text

__all__ = ["quote_value", "render_dockerfile"]


def render_dockerfile(dockerfile: Dockerfile) -> str:
    """Write a Dockerfile."""
    text = _environment().from_string(read_text("Dockerfile.jinja")).render(dockerfile=dockerfile)
    return text.rstrip("\n") + "\n"


def quote_value(value: str) -> str:
    """Write a value for ENV, ARG or LABEL, so that Docker takes it as it is."""
    if value and all(character.isalnum() or character in "-_.,:/@%+=" for character in value):
        return value
    escaped = "".join(f"\\{character}" if character in '\\"$' else character for character in value)
    return f'"{escaped}"'


@cache
def _environment() -> Environment:
    environment = Environment(
        trim_blocks=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - a Dockerfile is no HTML
    )
    environment.filters.update(exec_form=_write_exec_form, mount=_write_mount, value=quote_value)
    return environment


def _write_exec_form(command: Iterable[str]) -> str:
    return json.dumps(list(command), ensure_ascii=False)


def _write_mount(mount: Mount) -> str:
    match mount:
        case SecretMount(id, target):
            return f"type=secret,id={id}{f',target={target}' if target else ''}"
        case CacheMount(target, is_locked):
            return f"type=cache,target={target}{',sharing=locked' if is_locked else ''}"
        case BindMount(target, source, stage, is_writable):
            origin = f"from={stage},source={source}" if stage else f"source={source}"
            return f"type=bind,{origin},target={target}{',rw' if is_writable else ''}"
