"""servekit.yaml, read and checked."""

from servekit.spec.build import SUPPORTED_PYTHONS, BuildSpec
from servekit.spec.load import SPEC_NAME, load_spec
from servekit.spec.model import Spec, SpecFile
from servekit.spec.overrides import Setting, apply_overrides, list_settings
from servekit.spec.ranges import Range
from servekit.spec.serve import CallerSpec, FetchSpec, HistorySpec, QueueSpec, RecycleSpec, ScalingSpec, ServeSpec
from servekit.spec.weights import WeightsSpec

__all__ = [
    "SPEC_NAME",
    "SUPPORTED_PYTHONS",
    "BuildSpec",
    "CallerSpec",
    "FetchSpec",
    "HistorySpec",
    "QueueSpec",
    "Range",
    "RecycleSpec",
    "ScalingSpec",
    "ServeSpec",
    "Setting",
    "Spec",
    "SpecFile",
    "WeightsSpec",
    "apply_overrides",
    "list_settings",
    "load_spec",
]
