"""`servekit train`."""

from servekit_cli.commands.predict import make_command

__all__ = ["run"]

run = make_command(
    "train",
    """Run a Cog project's training once, here or in an image, and keep its output.

    It is the `train` of a cog.yaml: a function, or a class with a method of that name. Inputs are given as
    for servekit predict. Logs go to stderr, and the output to a file: the weights if it is a file, or an
    object with a file `weights` and nothing else, and else a text or JSON.

    With IMAGE, a container is started, used for this one training, and removed.
    """,
    output_default="weights",
)
