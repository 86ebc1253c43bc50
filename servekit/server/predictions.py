"""The routes below `/predictions`, the hot path: on plain ASGI, and in front of all routing."""

from urllib.parse import parse_qs, unquote

from servekit.errors import ServekitError
from servekit.runtime.prediction import Prediction
from servekit.server.answers import Answers, refuse_old_streams
from servekit.server.batch.route import BatchRoute
from servekit.server.callers import CallerKeys
from servekit.server.envelope import check_id, parse_envelope
from servekit.server.exchange import ClientGoneError, Exchange
from servekit.server.form import parse_boundary, read_form
from servekit.server.listing import render_page
from servekit.server.media import JSON, is_json
from servekit.server.problems import Refusal
from servekit.server.service import Request, Service
from servekit.server.terms import make_terms
from servekit.server.webhooks.subscription import read_subscription

__all__ = ["PredictionRoutes"]

_BATCH = b"batch"
"""For POST this is a route; PUT and GET take it for an id, as they take any other."""
_MAX_DIGITS = 19
_READING = ("GET", "HEAD")


class PredictionRoutes:
    """Answers everything below the path of what a service runs.

    Args:
        service: What is served.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._resource = service.contract.resource
        self._prefix_length = len(service.contract.resource.raw_path) + 1
        self._store = service.store
        self._pool = service.pool
        self._max_body = service.serve.max_body
        self._stall_seconds = service.serve.stall_timeout
        self._allow_private_webhooks = service.serve.webhook.allow_private
        self._contract = service.contract
        self._callers = CallerKeys(service.serve.caller)
        self._answers = Answers(service)
        self._batch = BatchRoute(service, self._callers) if service.contract.takes_batches else None

    async def __call__(self, exchange: Exchange) -> None:
        """Answer a request whose path is that of the service's resource, or goes on behind it with a slash.

        Raises:
            Refusal: It is answered with an error.
            ServekitError: Likewise, by the error's status.
            ClientGoneError: There is nobody to answer any more.
        """
        method: str = exchange.scope["method"]
        refuse_old_streams(exchange)
        rest: bytes = exchange.scope["raw_path"][self._prefix_length :]
        if rest:
            await self._answer_one(exchange, method, rest)
        elif method == "POST":
            await self._create(exchange, None)
        elif method in _READING:
            await exchange.answer(200, self._list(exchange.scope["query_string"]))
        else:
            raise Refusal.wrong_method(method, "GET, HEAD, POST")

    async def _answer_one(self, exchange: Exchange, method: str, rest: bytes) -> None:
        if rest == _BATCH and method == "POST" and self._batch is not None:
            await self._batch(exchange)
            return
        # Split before decoding: an encoded slash is part of an id, and makes it a wrong one.
        is_cancel = rest.endswith(b"/cancel")
        name = unquote(rest.removesuffix(b"/cancel").decode("latin-1"), errors="replace")
        exchange.prediction_id = check_id(name, ["path", "id"])
        match method:
            case "POST" if is_cancel:
                prediction = self._find(name)
                self._contract.check_cancel(prediction)
                self._pool.cancel(prediction, "canceled: a client asked for it")
                await exchange.answer(200, prediction.snapshot())
            case "GET" if not is_cancel:
                await self._answers.show(exchange, self._find(name))
            case "HEAD" if not is_cancel:  # never a stream, which would have no end and nothing in it
                await exchange.answer(200, self._find(name).snapshot())
            case "PUT" if not is_cancel:
                await self._create_once(exchange, name)
            case _:
                raise Refusal.wrong_method(method, "POST" if is_cancel else "GET, HEAD, PUT")

    async def _create(self, exchange: Exchange, given_id: str | None) -> None:
        try:
            self._answers.check_stream(exchange)
            prediction, is_new = await self._admit(exchange, given_id)
        except (Refusal, ServekitError) as error:
            self._service.tally.request_refused(error)
            raise
        exchange.prediction_id = prediction.id
        if is_new:
            await self._answers.give_to_maker(exchange, prediction)
        else:
            await self._answers.give_again(exchange, prediction)

    async def _admit(self, exchange: Exchange, given_id: str | None) -> tuple[Prediction, bool]:
        request = await self._read(exchange, given_id)
        try:
            if exchange.connection.is_lost and self._answers.cancels_when_gone(exchange):
                raise ClientGoneError  # while its files were stored
            existing = None if given_id is None else self._store.get(given_id)
            if existing is None:
                return self._service.admit(request), True
        except BaseException:
            self._service.drop_files(request)
            raise
        self._service.drop_files(request)  # another PUT came to its end while this one's body was read
        return existing, False

    async def _create_once(self, exchange: Exchange, name: str) -> None:
        existing = self._store.get(name)
        if existing is None:
            await self._create(exchange, name)
        else:
            if is_json(exchange.headers.get(b"content-type", JSON)):  # a form has no id to compare
                await self._read_json(exchange, name)
            self._answers.check_stream(exchange)
            await self._answers.give_again(exchange, existing)

    async def _read(self, exchange: Exchange, given_id: str | None) -> Request:
        kind = exchange.headers.get(b"content-type", JSON)
        if is_json(kind):
            return await self._read_json(exchange, given_id)
        boundary = parse_boundary(kind)
        if boundary is None:
            shown = kind[:100].decode("latin-1")
            message = f"the Content-Type is {shown!r}; send application/json, or multipart/form-data with files"
            raise Refusal(415, message, (b"accept", b"application/json, multipart/form-data"))
        return await self._read_form(exchange, boundary, given_id)

    async def _read_json(self, exchange: Exchange, given_id: str | None) -> Request:
        body = await exchange.read_body(self._max_body, self._stall_seconds)
        envelope, raw_input = parse_envelope(body, self._service.name_inputs, self._contract.envelopes)
        name = self._agree_on_id(envelope.id, given_id)
        terms = make_terms(envelope, self._callers.find(exchange))
        webhook = read_subscription(envelope, exchange.headers, allow_private=self._allow_private_webhooks)
        return Request(raw_input, name, envelope.context, terms, has_input=envelope.has_input, webhook=webhook)

    async def _read_form(self, exchange: Exchange, boundary: bytes, given_id: str | None) -> Request:
        schema = self._service.model.input_schema
        key = self._pool.new_key()
        try:
            directory = self._pool.directory_of(key)
            form = await read_form(exchange, boundary, directory, self._max_body, self._stall_seconds)
            terms = make_terms(None, self._callers.find(exchange))
            return Request(form.as_input(schema), given_id, terms=terms, key=key, uploads=form.uploads)
        except BaseException:
            self._pool.remove_files(key)
            raise

    def _agree_on_id(self, in_body: str | None, in_path: str | None) -> str | None:
        if in_body is None:
            return in_path
        if in_path is not None and in_body != in_path:
            raise Refusal.invalid(["body", "id"], self._contract.id_mismatch, in_body)
        return check_id(in_body, ["body", "id"])

    def _find(self, name: str) -> Prediction:
        prediction = self._store.get(name)
        if prediction is None:
            message = f"there is no {self._resource.noun} {name!r}: it never was, or its record is gone (serve.history)"
            raise Refusal(404, message)
        return prediction

    def _list(self, query: bytes) -> bytes:
        values = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        limit = _read_number(values, "limit", 1000)
        cursor = _read_number(values, "cursor", 1 << 62)
        return render_page(self._store.page(cursor, limit or _PAGE), limit or _PAGE, self._resource.path)


_PAGE = 100


def _read_number(values: dict[str, list[str]], name: str, most: int) -> int | None:
    if name not in values:
        return None
    text = values[name][-1]
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and 1 <= int(text) <= most:
        return int(text)
    raise Refusal.invalid(["query", name], f"expected a whole number from 1 to {most}", text[:100])
