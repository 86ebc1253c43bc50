"""What all routes share: the pool, the store, and the one way in which a prediction is admitted."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servekit.errors import InputError, NotReadyError
from servekit.runtime.model import Model
from servekit.runtime.pool import Pool
from servekit.runtime.prediction import Prediction
from servekit.runtime.terms import DEFAULT_TERMS, Terms
from servekit.schema import InputChecker
from servekit.server.contract import Contract
from servekit.server.metrics.tally import Tally
from servekit.server.overrides import OverrideChecker
from servekit.server.webhooks.outbox import Outbox
from servekit.server.webhooks.subscription import Subscription
from servekit.spec import Spec
from servekit.store import Store

__all__ = ["Request", "Service"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for, whichever form its body had.

    Attributes:
        raw_input: The input object, as JSON.
        id: The client's own id for the prediction.
        context: Free keys and values for the predictor.
        terms: How urgent it is, how long it may take, and whose it is.
        key: Under which the uploaded files stand, if there are any.
        uploads: Where each upload that the input names by a token lies.
        has_input: The client gave an input, even an empty one.
        webhook: Where what happens to the prediction is told.
    """

    raw_input: bytes
    id: str | None = None
    context: dict[str, Any] | None = None
    terms: Terms = DEFAULT_TERMS
    key: int | None = None
    uploads: dict[str, Path] = field(default_factory=dict[str, Path])
    has_input: bool = True
    webhook: Subscription | None = None


class Service:
    """A predictor that is being served.

    Args:
        spec: What is served.
        pool: Where predictions run.
        store: Where they are kept.
        tally: Counts what becomes of requests.
        webhooks: Tells receivers of predictions.
        contract: What clients find that is not the same in every project.
    """

    def __init__(
        self, spec: Spec, pool: Pool, store: Store, tally: Tally, webhooks: Outbox, contract: Contract
    ) -> None:
        self.spec = spec
        self.serve = spec.serve
        self.pool = pool
        self.store = store
        self.tally = tally
        self.webhooks = webhooks
        self.contract = contract
        self.started_at = time.time()
        self._checked_model: Model | None = None
        self._checker: InputChecker | None = None
        self._overrides = OverrideChecker(None)

    @property
    def title(self) -> str:
        """What the predictor is called: its image, or else its project's folder."""
        return self.spec.image or self.spec.root.name

    @property
    def model(self) -> Model:
        """What the predictor takes and gives.

        Raises:
            NotReadyError: It is not loaded yet, or cannot be.
        """
        model = self.pool.model
        if model is None:
            raise NotReadyError(self._not_loaded_text())
        return model

    def check_ready(self) -> None:
        """Look whether predictions will come to run, before a request for many of them is taken.

        Raises:
            NotReadyError: No worker is ready, and it is not known that one will be; or the server is going away.
        """
        if self.pool.is_draining:
            message = "the server is shutting down"
            raise NotReadyError(message)
        if self.pool.model is None or not self.pool.expects_slots:
            raise NotReadyError(self._not_loaded_text())

    def name_inputs(self) -> list[str]:
        """Return what the predictor's inputs are called; nothing while it is not loaded."""
        model = self.pool.model
        return [] if model is None else list(model.input_schema.get("properties", ()))

    def admit(self, request: Request) -> Prediction:
        """Check a request, give its prediction a slot or a place in the queue, and keep it.

        Raises:
            Refusal: The id is taken.
            InputError: The input, or a setting that it overrides, does not fit.
            BusyError: All slots are taken and the queue is full, or too much waits for its webhook's receiver.
            CallerLimitError: Its caller has as many predictions as one may.
            NotReadyError: No worker takes predictions.
        """
        model = self.model
        checker = self._checker
        if checker is None or model is not self._checked_model:  # the first one, or the code was reloaded
            checker = self._read_model(model)
        raw_input = request.raw_input
        try:
            checker.check(raw_input)
        except InputError as error:
            raise error if request.has_input else _explain_no_input(error) from None
        if request.context is not None:
            self._overrides.check(request.context)
        namesake = None if request.id is None else self.store.get(request.id)
        if namesake is not None:
            self.contract.check_reuse(namesake)
        if request.webhook is not None:
            self.webhooks.check_room(request.webhook)
        prediction = self.pool.new_prediction(
            raw_input,
            id=request.id,
            shown_input=checker.redact(raw_input) if model.has_secrets else None,
            context=request.context,
            uploads={token: str(path) for token, path in request.uploads.items()} if request.uploads else None,
            key=request.key,
            terms=request.terms,
            tells_cancel_reason=self.contract.tells_cancel_reason,
        )
        self.pool.submit(prediction)
        if namesake is not None:
            self.store.discard(namesake)
        self.store.put(prediction)
        if request.webhook is not None:
            self.webhooks.follow(prediction, request.webhook)
        return prediction

    def check_overrides(self, context: Mapping[str, Any] | None) -> None:
        """Check the settings that a context overrides, before a request for many predictions is taken.

        Raises:
            InputError: They do not fit.
            NotReadyError: The predictor is not loaded.
        """
        model = self.model
        if model is not self._checked_model:
            self._read_model(model)
        if context is not None:
            self._overrides.check(context)

    def drop_files(self, request: Request) -> None:
        """Remove the uploads of a request that came to nothing."""
        if request.key is not None:
            self.pool.remove_files(request.key)

    def _read_model(self, model: Model) -> InputChecker:
        """Make what checks requests for a model."""
        checker = self._checker = InputChecker(model.input_schema)
        self._overrides = OverrideChecker(model.settings_schema)
        self._checked_model = model
        return checker

    def _not_loaded_text(self) -> str:
        failure = self.pool.failure
        if failure is None:
            return "the predictor is being loaded; wait for /readyz to answer 200"
        reason = str(failure).partition("\n")[0]
        return f"no worker is ready: {reason} (the whole story is in /health-check and in the server's log)"


_NO_INPUT = 'the body has no "input"; put the values below it, as in {"input": {...}}'


def _explain_no_input(error: InputError) -> InputError:
    return InputError([{**problem, "msg": f"{problem['msg']}; {_NO_INPUT}"} for problem in error.problems])
