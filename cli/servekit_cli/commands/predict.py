"""`servekit predict`."""

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from servekit.errors import UsageError
from servekit_cli.container_flags import (
    CpusFlag,
    EnvFileFlag,
    EnvFlag,
    GpusFlag,
    ImageArgument,
    MemoryFlag,
    PullFlag,
    VolumeFlag,
    check_image,
    read_run_options,
    refuse_without_image,
    take_variables,
)
from servekit_cli.options import SetOption, SpecOption, load_spec_for_run, say_warnings, say_what_is_left_out

if TYPE_CHECKING:
    from servekit.spec import Mode
    from servekit_cli.inputs import InputRequest
    from servekit_cli.targets import Target

__all__ = ["make_command", "run"]


def make_command(mode: "Mode", text: str, output_default: str | None = None) -> Callable[..., None]:
    """Make the command that runs one prediction or one training.

    Args:
        mode: Which of the two.
        text: Its help.
        output_default: Where the output goes if -o says nothing; None for stdout.
    """

    def command(
        context: typer.Context,
        image: ImageArgument = None,
        file: SpecOption = Path(),
        *,
        values: Annotated[
            list[str] | None,
            typer.Option(
                "--input",
                "-i",
                metavar="NAME=VALUE",
                help="One input. @FILE sends a file, or the text in it, @- the text on stdin; "
                "several times for a list.",
            ),
        ] = None,
        json_text: Annotated[
            str | None,
            typer.Option(
                "--json",
                metavar="JSON",
                help='All inputs as one JSON object, @FILE, or - for stdin; a file in it is "@FILE".',
            ),
        ] = None,
        output: Annotated[
            str | None,
            typer.Option(
                "--output",
                "-o",
                metavar="FILE",
                help="Write the output to a file; - is stdout, also for a picture and the like.",
                show_default="stdout" if output_default is None else True,
            ),
        ] = output_default,
        set_values: SetOption = None,
        setup_timeout: Annotated[
            str | None,
            typer.Option(
                "--setup-timeout", metavar="DURATION", help="How long setup may take: seconds, or as 90s or 5m."
            ),
        ] = None,
        use_replicate_token: Annotated[
            bool,
            typer.Option(
                "--use-replicate-token",
                help="Give the predictor REPLICATE_API_TOKEN as replicate_api_token in its context.",
            ),
        ] = False,
        env: EnvFlag = None,
        env_file: EnvFileFlag = None,
        gpus: GpusFlag = None,
        memory: MemoryFlag = None,
        cpus: CpusFlag = None,
        volume: VolumeFlag = None,
        pull: PullFlag = False,
    ) -> None:
        words = [word for word in (image, *context.args) if word is not None]
        if len(words) > 1 or "=" in (image or ""):
            _refuse_stray(mode, words)
        from servekit.spec import SET_FLAG  # noqa: PLC0415 - `--help` answers at once
        from servekit_cli.inputs import read_arguments  # noqa: PLC0415 - as above
        from servekit_cli.targets import check_place, parse_target  # noqa: PLC0415

        request = read_arguments(values or (), json_text, _read_replicate_token() if use_replicate_token else None)
        target = parse_target(output)
        check_place(target)
        settings = {"setup_timeout": setup_timeout, SET_FLAG: set_values}
        if image is None:
            refuse_without_image(mode, gpus=gpus, memory=memory, cpus=cpus, volume=volume, pull=pull)
            take_variables(env, env_file)
            _run_here(mode, file, request, target, settings)
            return
        check_image(image, file)
        options = read_run_options(
            env=env, env_file=env_file, gpus=gpus, memory=memory, cpus=cpus, volume=volume, pull=pull
        )
        from servekit_cli.container.predict import predict_image  # noqa: PLC0415
        from servekit_cli.engine import connect  # noqa: PLC0415

        with connect() as engine:
            predict_image(engine, image, request, target, options, settings, mode)

    command.__doc__ = text
    return command


def _run_here(
    mode: "Mode", file: Path, request: "InputRequest", target: "Target", settings: Mapping[str, object]
) -> None:
    from servekit_cli.environment import prepare_environment  # noqa: PLC0415
    from servekit_cli.running import predict_once  # noqa: PLC0415
    from servekit_cli.weights import place_weights  # noqa: PLC0415

    spec = load_spec_for_run(file, settings).for_mode(mode)
    say_warnings(spec)
    say_what_is_left_out(spec)
    python = prepare_environment(spec)
    place_weights(spec)
    predict_once(spec, python, request, target)


def _read_replicate_token() -> dict[str, str]:
    token = os.environ.get("REPLICATE_API_TOKEN")
    if not token:
        raise UsageError("--use-replicate-token passes REPLICATE_API_TOKEN on, which is not set.\nSet it first.")
    return {"replicate_api_token": token}


def _refuse_stray(mode: "Mode", words: list[str]) -> NoReturn:
    pairs = [word for word in words if "=" in word]
    others = [word for word in words if "=" not in word]
    if pairs and len(others) <= 1:
        command = " ".join([f"servekit {mode}", *others, *(f"-i {shlex.quote(pair)}" for pair in pairs)])
        advice = f"An input is given with -i: {command}"
    else:
        advice = _HOW
    raise UsageError(f"servekit {mode} takes no {' '.join(map(repr, pairs or words))} by itself.\n{advice}")


_HOW: Final = "Inputs are given as -i name=value, the project as --file FOLDER, and an image by its name alone."

run = make_command(
    "predict",
    """Run the predictor once, here or in an image, and print its output.

    Items are printed as they come: text as it is, other values as one line of JSON each. Files go to
    output.png and the like. Everything else, such as the predictor's logs, goes to stderr.

    A text from @FILE is taken as it is, with the newline at its end; a secret loses that one newline.

    In a Cog project JSON is laid out in a pipe as well, items come as one list unless stdout is a terminal,
    and --json prints the whole prediction.

    With IMAGE, a container is started, used for this one prediction, and removed.
    """,
)
