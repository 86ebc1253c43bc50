"""The projects that both servers serve: as few as there can be, since each is two servers to start.

What a case decides while a model runs goes by files in the server's own folder: the model leaves `NAME.begun` there,
and goes on when it finds `NAME`.
"""

from dataclasses import replace
from typing import Final

from beside.project import Project

__all__ = ["ASYNC", "BROKEN", "CRASH", "LIFE", "SHORT", "STREAM", "SYNC", "TRAIN", "UPLOADS"]

SYNC: Final = Project(
    "sync",
    """
    import os
    import pathlib
    import sys
    import tempfile
    import time
    from typing import Any, Optional, Union
    from cog import BaseRunner, CancelationException, Input, Path, Secret, current_scope

    FOLDER = pathlib.Path(os.environ["BESIDE_FOLDER"])

    def write(name):
        path = pathlib.Path(tempfile.mkdtemp()) / name
        path.write_text("hi")
        return Path(path)

    class Runner(BaseRunner):
        def setup(self):
            self.calls = 0

        def run(
            self,
            do: str = Input(
                default="echo", choices=["call", "context", "echo", "exit", "fail", "make", "metric", "swallow", "wait"]
            ),
            text: str = "",
            count: int = Input(default=0, ge=0, le=5),
            ratio: float = 0.0,
            flag: bool = False,
            size: str = Input(default="small", choices=["small", "large"]),
            maybe: Optional[str] = None,
            many: list[int] = Input(default=[]),
            mixed: Union[str, float] = "",
            name: str = Input(default="abc", min_length=2, max_length=4, regex="^[a-z]+$"),
            file: Optional[Path] = None,
            files: list[Path] = Input(default=[]),
            key: Optional[Secret] = None,
        ) -> Any:
            return getattr(self, do)(**{k: v for k, v in locals().items() if k not in ("self", "do")})

        def echo(self, **values):
            print("out", values["text"])
            print("err", file=sys.stderr)
            return {k: v for k, v in values.items() if k not in ("file", "files", "key")}

        def call(self, **values):
            self.calls += 1
            return self.calls

        def fail(self, text, **values):
            print("before it")
            raise ValueError(text)

        def exit(self, count, **values):
            sys.exit(count)

        def wait(self, text, **values):
            (FOLDER / f"{text}.begun").touch()
            try:
                while not (FOLDER / text).exists():
                    time.sleep(0.003)
            except CancelationException:
                (FOLDER / f"{text}.canceled").touch()
                raise
            return text

        def swallow(self, **values):
            try:
                return self.wait(**values)
            except CancelationException:
                return "swallowed"

        def metric(self, text, many, **values):
            self.record_metric("plain", 1)
            self.record_metric("total", 2, mode="incr")
            self.record_metric("total", 3, mode="incr")
            self.record_metric("list", "a", mode="append")
            self.record_metric("deep.er", 1.5)
            if text:
                self.record_metric(text, 1)

        def context(self, **values):
            return dict(current_scope().context)

        def make(self, text, count, file, files, key, **values):
            return eval(text)
    """,
    environment={"WEBHOOK_AUTH_TOKEN": "token"},
)

STREAM: Final = Project(
    "stream",
    """
    import os
    import pathlib
    import time
    from cog import BaseRunner, ConcatenateIterator, Input, streaming

    FOLDER = pathlib.Path(os.environ["BESIDE_FOLDER"])

    class Runner(BaseRunner):
        def setup(self):
            print("set up")

        @streaming
        def run(self, name: str = "", count: int = 3, fails: bool = False) -> ConcatenateIterator[str]:
            for number in range(count):
                print(f"line {number}")
                self.record_metric("steps", 1, mode="incr")
                yield f"chunk-{number}"
                if name and not number:
                    (FOLDER / f"{name}.begun").touch()
                    while not (FOLDER / name).exists():
                        time.sleep(0.003)
            if fails:
                raise ValueError("boom")
    """,
)

SHORT: Final = replace(STREAM, name="short", environment={"COG_STREAM_HISTORY_CAPACITY": "2"})

ASYNC: Final = Project(
    "async",
    """
    import asyncio
    import os
    import pathlib
    import sys
    from cog import AsyncConcatenateIterator, BaseRunner, current_scope, streaming

    FOLDER = pathlib.Path(os.environ["BESIDE_FOLDER"])

    class Runner(BaseRunner):
        async def setup(self):
            self.lock = asyncio.Lock()

        @streaming
        async def run(self, name: str = "", count: int = 2, exits: bool = False) -> AsyncConcatenateIterator[str]:
            async with self.lock:
                pass
            for number in range(count):
                print(f"line {number}")
                current_scope().record_metric("steps", 1, mode="incr")
                yield f"chunk-{number}"
                if name and not number:
                    (FOLDER / f"{name}.begun").touch()
                    while not (FOLDER / name).exists():
                        await asyncio.sleep(0.003)
            if exits:
                sys.exit(3)
    """,
    slots=5,
)

LIFE: Final = Project(
    "life",
    """
    import os
    import pathlib
    import time
    from cog import BaseRunner

    FOLDER = pathlib.Path(os.environ["BESIDE_FOLDER"])

    def wait(condition):
        while not condition():
            time.sleep(0.003)

    class Runner(BaseRunner):
        def setup(self):
            wait((FOLDER / "go").exists)

        def healthcheck(self) -> bool:
            if (FOLDER / "raises").exists():
                raise RuntimeError("no licence")
            wait(lambda: not (FOLDER / "hangs").exists())
            return not (FOLDER / "complains").exists()

        def run(self, name: str = "") -> str:
            if name:
                (FOLDER / f"{name}.begun").touch()
                wait((FOLDER / name).exists)
            return name
    """,
    arguments=("--await-explicit-shutdown=true",),
    is_ready=False,
)

BROKEN: Final = Project(
    "broken",
    """
    from cog import BaseRunner

    class Runner(BaseRunner):
        def setup(self):
            print("looking for weights")
            raise RuntimeError("no weights here")

        def run(self, text: str = "a") -> str:
            return text
    """,
    is_ready=False,
)

CRASH: Final = Project(
    "crash",
    """
    import os
    import time
    from typing import Optional
    from cog import BaseRunner, Path

    class Runner(BaseRunner):
        def run(self, text: str = "a", file: Optional[Path] = None) -> str:
            if text == "die":
                print("last words", flush=True)
                time.sleep(0.1)  # so that the line is read before the end
                os._exit(9)
            return text
    """,
    is_guarded=True,
)

UPLOADS: Final = Project(
    "uploads",
    """
    import os
    import pathlib
    import tempfile
    from typing import Any
    from cog import BaseRunner, Path

    class Runner(BaseRunner):
        def run(self, names: list[str], form: str = "list") -> Any:
            folder = pathlib.Path(tempfile.mkdtemp())
            files = []
            for number, name in enumerate(names):
                (folder / str(number)).mkdir()
                (folder / str(number) / name).write_text(f"{number} {name}")
                files.append(Path(folder / str(number) / name))
            return {"list": lambda: files, "one": lambda: files[0], "dict": lambda: {"file": files[0]}}[form]()
    """,
    arguments=("--upload-url={files}/uploads",),
)

TRAIN: Final = Project(
    "train",
    """
    import pathlib
    import tempfile
    from cog import BaseModel, BaseRunner, Input, Path

    class TrainingOutput(BaseModel):
        weights: Path

    def train(n: int = Input(ge=1), fails: bool = False) -> TrainingOutput:
        print("training", n)
        if fails:
            raise ValueError("diverged")
        weights = pathlib.Path(tempfile.mkdtemp()) / "weights.txt"
        weights.write_text("w" * n)
        return TrainingOutput(weights=Path(weights))

    class Runner(BaseRunner):
        def run(self, text: str = "a") -> str:
            return text
    """,
    arguments=("--x-mode=train",),
)
