"""What clients of Cog find in a Cog project: the statuses, keys and words that they know.

Beside Cog's own words stands `detail` with ours, which say more.
"""

from typing import Any, Final

import msgspec

from servekit.compat.version import COG_VERSION
from servekit.errors import BusyError, CallerLimitError, NotReadyError, ReceiverBusyError, StreamLimitError
from servekit.problems import MISSING
from servekit.runtime.model import Model
from servekit.runtime.prediction import Prediction, Status
from servekit.server.cog_openapi import STREAMING, make_cog_openapi
from servekit.server.contract import Contract
from servekit.server.envelope import Envelope, EnvelopeRules
from servekit.server.problems import Refusal
from servekit.server.readiness_file import ReadinessFile
from servekit.server.resource import TRAININGS

__all__ = ["CogContract", "CogTrainingContract"]

_AT_CAPACITY: Final = "At capacity - all prediction slots busy"
_NOT_READY: Final = "Setup has not finished yet. Wait until it has finished, or GET /health-check for status."
_TOO_MANY_STREAMS: Final = "Too many stream subscribers"
_NO_STREAMS: Final = "This model does not support streaming responses. Add @cog.streaming to predict() to enable SSE."
_NO_TRAINING_STREAMS: Final = "Training endpoints do not support streaming responses."
_FAILING: Final = frozenset({409, 503})
"""With these Cog answers as with a failed prediction."""


class CogEnvelope(Envelope, forbid_unknown_fields=False):
    """What a client of Cog sends. Keys that nobody knows are ignored, and a context holds text."""

    context: dict[str, str] | None = None


class CogContract(Contract):
    """The contract of Cog projects.

    Args:
        readiness: Tells Kubernetes that the server is ready.
    """

    envelopes = EnvelopeRules(msgspec.json.Decoder(CogEnvelope).decode, is_strict=False)
    id_mismatch = "prediction ID must match the ID supplied in the URL"
    limits_streams = True
    shares_streams = True
    takes_batches = False  # there is no queue in which its inputs could wait for their turn
    tells_cancel_reason = False

    def __init__(self, readiness: ReadinessFile) -> None:
        self._readiness = readiness

    def check_stream(self, model: Model | None) -> None:
        """Refuse to stream a predictor whose author did not say that it may be."""
        if model is not None and STREAMING not in model.output_schema:
            raise Refusal(406, _NO_STREAMS)

    def check_reuse(self, prediction: Prediction) -> None:
        """Let the id of a prediction that has ended be used again: Cog knows it no more."""
        if not prediction.is_done:
            super().check_reuse(prediction)

    def check_cancel(self, prediction: Prediction) -> None:
        """Tell who cancels a prediction that has ended that there is none, as Cog does."""
        if prediction.is_done:
            noun = self.resource.noun
            message = f"the {noun} {prediction.id!r} has ended ({prediction.status}); there is nothing to cancel"
            raise Refusal(404, message)

    def accept(self, prediction: Prediction) -> bytes:
        """Say that it starts, as Cog does, whether or not it has a slot already."""
        return msgspec.json.encode({"id": prediction.id, "status": Status.STARTING})

    def refuse(self, refusal: Refusal) -> Refusal:
        """Put `error`, and `status` where Cog has it, beside `detail`; a full server is a conflict."""
        if not isinstance(refusal.detail, str):
            return refusal.retold(refusal.status, [_translate_problem(each) for each in refusal.detail])
        status, error = _find_words(refusal)
        more = {"error": error, "status": "failed"} if status in _FAILING else {"error": error}
        return refusal.retold(status, refusal.detail, more)

    def discover(self) -> dict[str, object]:
        """Say which Cog it is."""
        return {"cog_version": COG_VERSION}

    def make_openapi(self, title: str, model: Model) -> dict[str, Any]:
        """Return the document that clients of Cog can read."""
        return make_cog_openapi(title, model, self.resource)

    def name_versions(self) -> dict[str, str]:
        """Name what clients of Cog look for as well."""
        return {"coglet": COG_VERSION, "python_sdk": COG_VERSION, **super().name_versions()}

    def explain_complaint(self, complaint: str) -> str:
        """Say it as Cog does."""
        # Of a check itself, or else what it raised, which begins with the name of a class, or what came of its worker.
        about = "user-defined " if complaint.startswith("healthcheck ") else ""
        return f"Healthcheck failed: {about}{complaint}"

    def note_ready(self) -> None:
        """Let Kubernetes know."""
        self._readiness.write()


class CogTrainingContract(CogContract):
    """The contract of Cog projects where their trainings are served.

    A training may take hours, for which no connection should have to live. Who wants its events attaches by GET, as
    often as need be.
    """

    resource = TRAININGS
    id_mismatch = "training ID must match the ID supplied in the URL"

    def check_stream(self, model: Model | None) -> None:  # noqa: ARG002 - the interface
        """Refuse to stream a training to who asks for it, whatever its author says."""
        raise Refusal(406, _NO_TRAINING_STREAMS)


def _find_words(refusal: Refusal) -> tuple[int, str]:
    """Return the status and the error of Cog's that fit best."""
    match refusal.cause:
        case StreamLimitError():
            return refusal.status, _TOO_MANY_STREAMS
        case CallerLimitError() | ReceiverBusyError():  # there may be slots for others
            return refusal.status, str(refusal.detail)
        case BusyError():
            return 409, _AT_CAPACITY
        case NotReadyError():
            return refusal.status, _NOT_READY
        case _:
            return refusal.status, str(refusal.detail)


def _translate_problem(problem: dict[str, Any]) -> dict[str, Any]:
    """Give a problem the type that Cog has for it, and what is missing its words as well."""
    if problem["type"] != "missing":
        return {**problem, "type": "value_error"}
    message = problem["msg"].replace(MISSING, "Field required", 1)
    return {**problem, "msg": message, "type": "value_error.missing"}
