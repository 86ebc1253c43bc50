"""servekit.yaml or cog.yaml, read and checked."""

from servekit.spec.build import SUPPORTED_PYTHONS, BuildSpec, CommandSpec
from servekit.spec.dialects import SPEC_NAMES
from servekit.spec.load import load_spec
from servekit.spec.mode import MODE_VARIABLE, choose_mode, wants_training
from servekit.spec.model import Dialect, Mode, Spec, SpecFile
from servekit.spec.overrides import Setting, apply_overrides, list_settings
from servekit.spec.ranges import Range
from servekit.spec.serve import (
    CallerSpec,
    FetchSpec,
    HistorySpec,
    QueueSpec,
    RecycleSpec,
    ScalingSpec,
    ServeSpec,
    UploadSpec,
    WebhookSpec,
)
from servekit.spec.settings import SET_FLAG, SETTINGS_VARIABLE, read_settings
from servekit.spec.weights import WeightsSpec

__all__ = [
    "MODE_VARIABLE",
    "SETTINGS_VARIABLE",
    "SET_FLAG",
    "SPEC_NAMES",
    "SUPPORTED_PYTHONS",
    "BuildSpec",
    "CallerSpec",
    "CommandSpec",
    "Dialect",
    "FetchSpec",
    "HistorySpec",
    "Mode",
    "QueueSpec",
    "Range",
    "RecycleSpec",
    "ScalingSpec",
    "ServeSpec",
    "Setting",
    "Spec",
    "SpecFile",
    "UploadSpec",
    "WebhookSpec",
    "WeightsSpec",
    "apply_overrides",
    "choose_mode",
    "list_settings",
    "load_spec",
    "read_settings",
    "wants_training",
]
