"""What cog.yaml may hold."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from servekit.spec.cog.cuda import CudaVersion, bundled_cudnn
from servekit.spec.cog.slots import MOST_SLOTS
from servekit.spec.cog.values import (
    EnvironmentLine,
    ListOf,
    Predictor,
    PythonVersion,
    Repository,
    Runner,
    SdkVersion,
    Trainer,
    split_line,
)
from servekit.spec.cog.weights import CogWeights, translate_weights
from servekit.spec.faults import Location
from servekit.spec.section import Section
from servekit.spec.values import AbsolutePath, InsidePath, SecretId, SystemPackage, Text, check_not_blank, fault, unfit
from servekit.spec.weights import check_targets

__all__ = [
    "TEXT_FIELDS",
    "CogBuild",
    "CogCommand",
    "CogConcurrency",
    "CogFile",
    "CogMount",
    "CogObservability",
    "CogTraces",
]

TEXT_FIELDS: Final[frozenset[Location]] = frozenset(
    {
        ("image",),
        ("model",),
        ("build", "python_version"),
        ("build", "cuda"),
        ("build", "cudnn"),
        ("build", "sdk_version"),
    }
)
"""The fields that are texts even if they look like numbers."""


def _check_mount_type(kind: str) -> str:
    if kind != "secret":
        raise unfit("only secrets can be mounted", "Set it to secret.")
    return kind


def _read_command(value: Any) -> Any:
    if isinstance(value, str):
        return {"command": check_not_blank(value)}
    if not isinstance(value, dict):
        raise unfit("it must be a command, or a section with command and mounts", "Put the command into quotes.")
    return value  # pyright: ignore[reportUnknownVariableType] - pydantic reads what is in it


class CogMount(Section):
    """A secret of the build that one command sees as a file."""

    type: Annotated[str, AfterValidator(_check_mount_type)] = Field(description="Always secret.")
    id: SecretId = Field(description="The id that `servekit build --secret` gives it.")
    target: AbsolutePath = Field(description="Where the command finds it.")


class CogCommand(Section):
    """One command of `build.run`."""

    command: Text = Field(description="What the shell runs.")
    mounts: ListOf[CogMount] = Field(default=(), description="Secrets that the command sees as files, each once.")

    @field_validator("mounts")
    @classmethod
    def _want_each_secret_once(cls, mounts: tuple[CogMount, ...]) -> tuple[CogMount, ...]:
        names = [mount.id for mount in mounts]
        for name in names:
            if names.count(name) > 1:
                raise fault(f"the secret {name} is mounted more than once", "Keep one of the mounts.")
        return mounts


class CogBuild(Section):
    """The environment that the model needs."""

    # Required, and yet with a default: what is missing is told in the words of Cog.
    python_version: PythonVersion | None = Field(
        default=None,
        validate_default=True,
        description='Required. 3.11 to 3.14 are taken as they are and "3.10" as "3.11", '
        "the oldest that servekit runs on; a third number is left to the image.",
    )
    gpu: bool = Field(default=False, description="Whether the model needs a GPU.")
    cuda: CudaVersion | None = Field(
        default=None,
        description="The CUDA version of the nvidia/cuda image, with cuDNN and compilers, to build on. "
        "Without it the image is a plain one, as wheels such as torch's bring their CUDA along.",
    )
    cudnn: Text | None = Field(default=None, description="The cuDNN version, which has to be that of the CUDA image.")
    python_requirements: InsidePath | None = Field(
        default=None, description="A requirements file with the Python dependencies. cog and coglet are left out of it."
    )
    python_packages: ListOf[Text] = Field(
        default=(), description="The Python dependencies themselves. Deprecated for python_requirements."
    )
    system_packages: ListOf[SystemPackage] = Field(default=(), description="Debian packages to install.")
    run: ListOf[Annotated[CogCommand, BeforeValidator(_read_command)]] = Field(
        default=(), description="Shell commands to run after the dependencies are installed."
    )
    pre_install: ListOf[Text] = Field(
        default=(), description="More commands, which run after those of run. Deprecated for run."
    )
    fast: bool = Field(default=False, description="Without effect: Cog has given it up.")
    cog_runtime: bool = Field(default=False, description="Without effect: Cog has given it up.")
    sdk_version: SdkVersion | None = Field(
        default=None, description="The version of Cog's SDK; without effect, as servekit stands in for it."
    )

    @field_validator("python_version")
    @classmethod
    def _want_a_python_version(cls, version: str | None) -> str | None:
        if version is None:
            raise fault("build.python_version is required", 'Add a line such as `python_version: "3.13"` below build.')
        return version

    @field_validator("cudnn")
    @classmethod
    def _want_the_cudnn_of_the_image(cls, cudnn: str | None, others: ValidationInfo) -> str | None:
        cuda: str | None = others.data.get("cuda")
        if cudnn and cuda and cudnn.partition(".")[0] != (bundled := bundled_cudnn(cuda)):
            raise fault(
                f'invalid build.cudnn "{cudnn}": the image of CUDA {cuda} comes with cuDNN {bundled}',
                "Remove the line, or choose another CUDA version.",
            )
        return cudnn

    @field_validator("python_packages")
    @classmethod
    def _take_dependencies_from_one_place(cls, packages: tuple[str, ...], others: ValidationInfo) -> tuple[str, ...]:
        if packages and others.data.get("python_requirements"):
            raise fault("only one of python_packages or python_requirements can be set", "Keep python_requirements.")
        return packages


class CogConcurrency(Section):
    """How many predictions run at once."""

    max: int = Field(
        default=1,
        ge=1,
        le=MOST_SLOTS,
        description="How many at once, whatever `@concurrent(max=N)` says. Deprecated for that.",
    )
    default_target: int | None = Field(default=None, ge=1, description="Without effect, as in Cog.")


class CogTraces(Section):
    """Traces of predictions."""

    enabled: bool = Field(default=False, description="Without effect: servekit sends no traces.")


class CogObservability(Section):
    """What others may see of predictions."""

    traces: CogTraces = Field(default_factory=CogTraces, description="Traces of predictions.")


def _nothing() -> Any:
    """Give what is validated in place of a section that is not there, and lacks what it requires."""
    return {}


class CogFile(Section):
    """What `cog.yaml` may hold."""

    build: CogBuild = Field(
        default_factory=_nothing, validate_default=True, description="The environment that the model needs."
    )
    run: Runner | None = Field(
        default=None,
        description="Required, unless there is train. The class or function to run: run.py:Runner.",
    )
    train: Trainer | None = Field(
        default=None, description="The class or function that trains: train.py:train, or train.py:Trainer."
    )
    predict: Predictor | None = Field(
        default=None,
        validate_default=True,
        description="What run was called before: predict.py:Predictor. Deprecated for run.",
    )
    image: str | None = Field(default=None, min_length=1, description="The name of the image that is built.")
    model: Repository | None = Field(
        default=None, min_length=1, description="The repository of the model: the image's name where there is no image."
    )
    concurrency: CogConcurrency = Field(default_factory=CogConcurrency, description="How many predictions run at once.")
    environment: ListOf[EnvironmentLine] = Field(default=(), description="Environment variables, as NAME=value.")
    weights: ListOf[CogWeights] = Field(default=(), description="Large files that the model loads.")
    observability: CogObservability = Field(
        default_factory=CogObservability, description="What others may see of predictions; without effect."
    )

    @field_validator("predict")
    @classmethod
    def _want_one_predictor(cls, predict: str | None, others: ValidationInfo) -> str | None:
        if not {"run", "train"} <= others.data.keys():  # what is not has a fault of its own
            return predict
        run: str | None = others.data["run"]
        if run is not None and predict is not None:
            raise fault("only one of run or predict can be set", "Keep run, which is the newer name.")
        if run is None and predict is None and others.data["train"] is None:
            raise fault(
                "run is missing; it names the class or function to run", 'Add a line such as "run: run.py:Runner".'
            )
        return predict

    @field_validator("model")
    @classmethod
    def _want_one_name(cls, model: str | None, others: ValidationInfo) -> str | None:
        if model is not None and others.data.get("image") is not None:
            raise fault("only one of image or model can be set", "Keep one of them.")
        return model

    @field_validator("environment")
    @classmethod
    def _want_each_variable_once(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        names = [split_line(line)[0] for line in lines]
        for name in names:
            if names.count(name) > 1:
                raise fault(f"environment sets {name} more than once", "Keep one of the lines.")
        return lines

    @field_validator("weights")
    @classmethod
    def _keep_weights_apart(cls, weights: tuple[CogWeights, ...]) -> tuple[CogWeights, ...]:
        check_targets(translate_weights(weights))
        return weights
