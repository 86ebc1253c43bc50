"""`servekit batch`."""

from pathlib import Path
from typing import Annotated

import typer

from servekit_cli.container_flags import EnvFileFlag, EnvFlag, GpusFlag, PullFlag, VolumeFlag
from servekit_cli.options import SetOption, SpecOption

__all__ = ["run"]


def run(
    inputs: Annotated[
        str, typer.Argument(metavar="INPUTS", help="The rows: a file, a folder of files, or - for stdin.")
    ],
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where results go: .jsonl, .csv, .tsv or .parquet; - is stdout, as JSON Lines.",
            show_default="stdout",
        ),
    ] = "-",
    file: SpecOption = Path(),
    image: Annotated[
        str | None, typer.Option("--image", metavar="IMAGE", help="Run the rows in a container of this image.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Send the rows to this server, servekit's or Cog's.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", metavar="NAME: VALUE", help="A header for each request to --url, such as a token."),
    ] = None,
    input_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="What INPUTS is, if its name does not say it: jsonl, json, csv, tsv, parquet.",
        ),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="NAME=VALUE", help="A value for all rows that have none of their own; also @FILE."
        ),
    ] = None,
    renames: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="INPUT=COLUMN", help="Take an input from a column of another name."),
    ] = None,
    ignore_unknown: Annotated[
        bool, typer.Option("--ignore-unknown", help="Leave out columns that are no input of the predictor.")
    ] = False,
    input_name: Annotated[
        str | None,
        typer.Option("--input-name", metavar="NAME", help="The input that gets the files of a folder, if several can."),
    ] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Leave the input out of each result.")] = False,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="Write results as they come, and not in the order of the rows.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an earlier run stopped; rows with a result are not run again.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: run the rows again that failed.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace results that are there.")] = False,
    concurrency: Annotated[
        str,
        typer.Option(
            "--concurrency",
            metavar="NUMBER|auto",
            help="How many rows run at a time, at most; auto: as many as workers have slots, or as a server can take.",
        ),
    ] = "auto",
    workers: Annotated[
        str | None,
        typer.Option("--workers", metavar="NUMBER|auto", help="How many worker processes, in place of serve.workers."),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="How long a row may take, such as 30s; retries included."),
    ] = None,
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            metavar="NUMBER",
            min=0,
            help="How often a row is tried again that failed for no fault of its own.",
        ),
    ] = 3,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="RATE", help="How many rows may begin, such as 100/s or 5000/min.")
    ] = None,
    token_rate: Annotated[
        str | None,
        typer.Option(
            "--token-rate", metavar="RATE", help="How many tokens rows may use, by the metric that --tokens names."
        ),
    ] = None,
    tokens: Annotated[
        str, typer.Option("--tokens", metavar="METRIC", help="The metric in which the predictor counts tokens.")
    ] = "tokens",
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory", metavar="SIZE", help="Begin no row while this command and its workers use more, such as 2GB."
        ),
    ] = None,
    skip: Annotated[int, typer.Option("--skip", metavar="NUMBER", min=0, help="Pass over so many rows.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="NUMBER", min=1, help="Run so many rows at most.")
    ] = None,
    max_errors: Annotated[
        int | None,
        typer.Option("--max-errors", metavar="NUMBER", min=0, help="Stop when more rows than this have failed."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check all rows, say which do not fit, and run none.")
    ] = False,
    report: Annotated[
        list[str] | None,
        typer.Option("--report", metavar="FILE", help="Write the report, as .json or as a page with plots, .html."),
    ] = None,
    merge: Annotated[
        str | None,
        typer.Option(
            "--merge",
            metavar="KIND",
            help="Also make one file of all results: text, embeddings or classes; KIND=FILE names it.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no report.")] = False,
    set_values: SetOption = None,
    setup_timeout: Annotated[
        str | None,
        typer.Option("--setup-timeout", metavar="DURATION", help="How long setup may take, as 90s or 5m."),
    ] = None,
    env: EnvFlag = None,
    env_file: EnvFileFlag = None,
    gpus: GpusFlag = None,
    volume: VolumeFlag = None,
    pull: PullFlag = False,
) -> int:
    """Run every row of a file through the predictor, here, in an image or on a server, and write all results.

    A row that fails costs no other one anything: its result says why. Results are in the order of the rows.
    Ctrl-C lets what runs come to its end; --resume goes on from there, and after any other end as well.

    \b
    servekit batch inputs.jsonl -o results.jsonl
    servekit batch people.csv -o greetings.csv -i language=de --map name=first_name
    servekit batch photos/ -o labels.parquet --workers 4 --merge classes
    servekit batch inputs.jsonl -o results.jsonl --resume --retry-failed
    servekit batch inputs.jsonl -o results.jsonl --url https://models.example.com --header "Authorization: Bearer TOKEN"
    servekit batch inputs.jsonl -o results.jsonl --image my-model --report report.html
    jq -c '{text: .body}' posts.jsonl | servekit batch - | jq .output

    A row is an object with the inputs by name; in a table the header names them. "@FILE" stands for a file where an
    input takes one. A result is an object with row, status, input, output or error, attempts and seconds; files in
    outputs go to the folder results.files beside results.jsonl.
    """  # noqa: D301 - the \b is for click: what follows is left as it is
    from servekit_cli.batching.arguments import BatchArguments  # noqa: PLC0415 - `--help` answers at once
    from servekit_cli.batching.command import run_command  # noqa: PLC0415

    return run_command(
        BatchArguments(
            inputs=inputs,
            output=output,
            file=file,
            image=image,
            url=url,
            headers=header or [],
            input_format=input_format,
            values=values or [],
            renames=renames or [],
            ignores_unknown=ignore_unknown,
            input_name=input_name,
            has_input=not no_input,
            is_ordered=not unordered,
            resumes=resume,
            retries_failed=retry_failed,
            is_forced=force,
            concurrency=concurrency,
            workers=workers,
            timeout=timeout,
            retries=retries,
            rate=rate,
            token_rate=token_rate,
            tokens=tokens,
            memory=memory,
            skip=skip,
            limit=limit,
            max_errors=max_errors,
            is_dry=dry_run,
            reports=report or [],
            merge=merge,
            is_quiet=quiet,
            set_values=set_values,
            setup_timeout=setup_timeout,
            env=env,
            env_file=env_file,
            gpus=gpus,
            volume=volume,
            pull=pull,
        )
    )
