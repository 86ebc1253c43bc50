"""What clients find that is not the same in every project: one object, chosen when the server is made.

Clients of servekit's own projects find what the reference says. A dialect such as Cog's has clients that
know something else; it says so in a `Contract` of its own, and no route asks whose project it serves.
"""

import platform
from importlib.metadata import version
from typing import Any

from servekit.runtime.model import Model
from servekit.runtime.prediction import Prediction
from servekit.server.envelope import OWN_ENVELOPES, EnvelopeRules
from servekit.server.openapi import make_openapi
from servekit.server.problems import Refusal
from servekit.server.resource import PREDICTIONS, Resource

__all__ = ["Contract"]


class Contract:
    """The way of servekit's own projects; a dialect overrides what its clients know differently.

    Attributes:
        resource: What is run.
        envelopes: How the bodies of requests are read.
        id_mismatch: What is wrong when body and path have different ids.
        limits_streams: Not every predictor may be streamed: `check_stream` is to be asked.
        shares_streams: A prediction that was asked for as a stream goes on until the last of those has gone who have it
            streamed, and not only for who asked for it.
        takes_batches: There is `POST /predictions/batch`.
        tells_cancel_reason: The `error` of a canceled prediction says why it was canceled.
    """

    resource: Resource = PREDICTIONS
    envelopes: EnvelopeRules = OWN_ENVELOPES
    id_mismatch: str = "the id in the body must be the one in the path, or be left out"
    limits_streams: bool = False
    shares_streams: bool = False
    takes_batches: bool = True
    tells_cancel_reason: bool = True

    # ------------------------------------------------------------------ what is taken

    def check_stream(self, model: Model | None) -> None:
        """Look at a request that would have a new prediction streamed.

        Raises:
            Refusal: The model, if it is known yet, is not to be streamed.
        """

    def check_reuse(self, prediction: Prediction) -> None:
        """Look at a POST with the id of a prediction that is kept already.

        Raises:
            Refusal: It cannot take that one's place.
        """
        noun = self.resource.noun
        message = (
            f"there is a {noun} with the id {prediction.id!r} already; take another id, read that one with "
            f"GET {self.resource.path}/{prediction.id}, or use PUT, which gives the same {noun} again"
        )
        raise Refusal(409, message)

    def check_cancel(self, prediction: Prediction) -> None:
        """Look at a prediction that is to be canceled.

        Raises:
            Refusal: There is nothing to cancel any more, and the client is to know.
        """

    # ------------------------------------------------------------------ what is told

    def accept(self, prediction: Prediction) -> bytes:
        """Return the answer, as JSON, to who asked for a prediction and does not wait for it."""
        return prediction.snapshot()

    def refuse(self, refusal: Refusal) -> Refusal:
        """Return an error as clients are told of it."""
        return refusal

    def discover(self) -> dict[str, object]:
        """Return what `GET /` says beside where everything is."""
        return {}

    def make_openapi(self, title: str, model: Model) -> dict[str, Any]:
        """Return the OpenAPI document of a served predictor."""
        return make_openapi(title, model, self.resource, takes_batches=self.takes_batches)

    # ------------------------------------------------------------------ health

    def name_versions(self) -> dict[str, str]:
        """Return what `/health-check` says of the software."""
        return {"servekit": version("servekit"), "python": platform.python_version()}

    def explain_complaint(self, complaint: str) -> str:
        """Return the complaint of a predictor's healthcheck as `/health-check` tells it."""
        return complaint

    def note_ready(self) -> None:
        """Take note that `/health-check` found the server ready to take predictions."""
