"""The route `POST /predictions/batch`."""

from servekit.errors import ServekitError
from servekit.server.batch.envelope import BatchRequest, parse_document, parse_lines
from servekit.server.batch.formats import DOCUMENT, LINE_TYPES, LINES, Format, choose_format
from servekit.server.batch.run import BatchRun
from servekit.server.batch.stream import BatchStream
from servekit.server.batch.turns import Turns
from servekit.server.callers import CallerKeys
from servekit.server.exchange import Exchange
from servekit.server.media import JSON, is_json, name_type
from servekit.server.negotiation import parse_prefer
from servekit.server.problems import Refusal
from servekit.server.service import Service

__all__ = ["BatchRoute"]


class BatchRoute:
    """Answers requests with many inputs.

    Args:
        service: What is served.
        callers: Whose request is whose.
    """

    def __init__(self, service: Service, callers: CallerKeys) -> None:
        self._service = service
        self._callers = callers
        self._turns = Turns(service.pool, service.serve.queue)

    async def __call__(self, exchange: Exchange) -> None:
        """Answer a request.

        Raises:
            Refusal: It is answered with an error, and nothing of it was begun.
            ServekitError: Likewise, by the error's status.
            ClientGoneError: There is nobody to answer any more.
        """
        try:
            request, form = await self._read(exchange)
            self._service.check_ready()
            self._service.check_overrides(request.context)
            run = BatchRun(request, self._service, self._turns, is_ordered=form.is_ordered)
            run.open()
        except (Refusal, ServekitError) as error:
            self._service.tally.request_refused(error)
            raise
        await BatchStream(exchange, run, form, self._service.serve).run()

    async def _read(self, exchange: Exchange) -> tuple[BatchRequest, Format]:
        serve = self._service.serve
        content_type = exchange.headers.get(b"content-type", JSON)
        kind = name_type(content_type)
        _check_answer(exchange)
        if kind not in LINE_TYPES and not is_json(content_type):
            message = f"the Content-Type is {kind[:100]!r}; send application/json or application/jsonl"
            raise Refusal(415, message, (b"accept", b"application/json, application/jsonl, application/x-ndjson"))
        body = await exchange.read_body(serve.max_body, serve.stall_timeout)
        # What answers lines with lines is `curl --data-binary @inputs.jsonl` and no more.
        usual, parse = (LINES[kind], parse_lines) if kind in LINE_TYPES else (DOCUMENT, parse_document)
        request = parse(body, self._callers.find(exchange), exchange.started, serve.max_inputs)
        exchange.inputs = len(request.inputs)
        return request, choose_format(exchange.header_values(b"accept"), usual)


def _check_answer(exchange: Exchange) -> None:
    """Refuse a request for an answer that a batch cannot have.

    Raises:
        Refusal: It is such a one.
    """
    if exchange.scope["http_version"] == "1.0":
        message = (
            "the answer to a batch is sent while it grows, which needs HTTP/1.1, and this request is HTTP/1.0 "
            "(behind nginx: proxy_http_version 1.1)"
        )
        raise Refusal(505, message)
    preference = parse_prefer(exchange.header_values(b"prefer"))
    if preference.applied:
        message = (
            f"Prefer: {preference.applied.decode()} is not possible for a batch, whose results come in its answer; "
            "leave the header out, or send the inputs in requests of their own, which can be polled"
        )
        raise Refusal(400, message)
