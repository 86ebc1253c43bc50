"""The `serve` section: how a predictor is run and served."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from servekit.spec.ranges import Range, SlotRange, WorkerRange
from servekit.spec.section import Section
from servekit.spec.units import Duration, PositiveDuration, PositiveSize, Size
from servekit.spec.values import GpuShare, HangTimeout, HeaderName, UploadUrl, WorkerMemory, unfit

__all__ = [
    "BatchSpec",
    "CallerSpec",
    "FetchSpec",
    "HistorySpec",
    "QueueSpec",
    "RecycleSpec",
    "ScalingSpec",
    "ServeSpec",
    "UploadSpec",
    "WebhookSpec",
]


class QueueSpec(Section):
    """The queue in front of the slots."""

    max: int = Field(default=100, ge=0, description="How many predictions may wait; the next one is answered 503.")
    timeout: PositiveDuration = Field(default=60.0, description="How long a prediction may wait before it is refused.")
    ageing: PositiveDuration | None = Field(
        default=5.0,
        description="How long a prediction waits for each level of priority that it gains by waiting; "
        "with null it gains none, and a low one may wait until its time is up.",
    )


class BatchSpec(Section):
    """How predictions are gathered into batches, for a predictor that takes them (`Batch[T]`)."""

    max_size: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="How many predictions one call of predict takes at most; null for what its @batch says, else 32.",
    )
    max_wait: Duration | None = Field(
        default=None,
        description="How long the first prediction of a batch waits for more. With null it is what @batch says, else "
        "as long as that is worth it by the measured cost of a call.",
    )
    max_cost: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="How much the predictions of one call may cost together, as the cost function of @batch counts; "
        "null for what @batch says.",
    )
    target_latency: PositiveDuration | None = Field(
        default=None,
        description="How long after its arrival in the worker a prediction should be done: batches are smaller, and "
        "wait less, where it would be later. Null for no such aim.",
    )


class CallerSpec(Section):
    """What one caller may have at once, so that none can take all slots."""

    header: HeaderName = Field(
        default="X-API-Key",
        description="The request header by which callers are told apart; those without it count as one.",
    )
    max: int | None = Field(
        default=None,
        ge=1,
        description="How many predictions of one caller may run and wait; the next one is answered 429. "
        "Null for no limit.",
    )


class HistorySpec(Section):
    """How long, and how many, predictions are kept to be polled and attached to."""

    max: int = Field(default=1000, ge=0, description="How many finished predictions are kept.")
    ttl: Duration = Field(default=3600.0, description="How long a finished prediction is kept.")
    size: Size = Field(
        default=256_000_000, description="How much memory kept predictions may take; the oldest go first."
    )


class FetchSpec(Section):
    """Limits for the files that inputs name by URL."""

    max_size: Size = Field(default=1_000_000_000, description="The largest file that is fetched.")
    timeout: PositiveDuration = Field(default=60.0, description="The whole time one fetch may take.")
    redirects: int = Field(default=5, ge=0, description="How many redirects are followed.")
    allow_private: bool = Field(
        default=False, description="Whether private, loopback and link-local addresses may be fetched from."
    )


class UploadSpec(Section):
    """Where the files of outputs are sent, and how often that is tried."""

    url: UploadUrl | None = Field(
        default=None,
        description="The URL below which each file of an output is put, under its own name; the output then holds the "
        "URL of the file. `{id}` in it stands for the prediction's id. With null, files come in the answer, as data "
        "URLs.",
    )
    timeout: PositiveDuration = Field(
        default=120.0, description="The whole time one file may take, with all tries; then its prediction fails."
    )
    retries: int = Field(
        default=5,
        ge=0,
        le=100,
        description="How many more times a file is sent, with growing pauses, when the receiver cannot be reached or "
        "answers 408, 429 or 5xx.",
    )


class WebhookSpec(Section):
    """When webhooks are sent, where to, and how many may wait."""

    interval: Duration = Field(
        default=0.5, description="The least time between two updates of one prediction; its end is told at once."
    )
    timeout: PositiveDuration = Field(default=30.0, description="How long a receiver may take to answer.")
    retries: int = Field(
        default=12,
        ge=0,
        le=100,
        description="How many more times the end of a prediction is told to a receiver that does not take it, with "
        "growing pauses and for an hour at most.",
    )
    allow_private: bool = Field(
        default=False, description="Whether private, loopback and link-local addresses may be sent to."
    )
    max_pending: int = Field(
        default=2000,
        ge=1,
        description="How many predictions may have webhooks left to send. One host may have as many of them as are "
        "still free; the next request that names it is answered 503.",
    )
    max_pending_size: PositiveSize = Field(
        default=256_000_000, description="How much memory these predictions may take, shared in the same way."
    )


class ScalingSpec(Section):
    """When workers are started and stopped."""

    target_wait: PositiveDuration = Field(
        default=1.0, description="A worker is started when a prediction has waited longer than this."
    )
    idle_timeout: PositiveDuration = Field(
        default=300.0, description="Workers that were not needed for so long are stopped."
    )


class RecycleSpec(Section):
    """When a worker is replaced by a fresh one; it serves until that one is ready."""

    max_predictions: int | None = Field(
        default=None, ge=1, description="After how many predictions a worker is replaced."
    )
    memory_limit: WorkerMemory | None = Field(
        default=None, description="From how much memory on a worker, with the processes it started, is replaced."
    )
    max_age: PositiveDuration | None = Field(default=None, description="At what age a worker is replaced.")


class ServeSpec(Section):
    """How the predictor is served. Durations are held in seconds and sizes in bytes."""

    host: str = Field(default="0.0.0.0", min_length=1, description="The address to listen on.")  # noqa: S104 a container serves others
    port: int = Field(default=5000, ge=0, le=65535, description="The port to listen on; 0 takes any free one.")
    workers: WorkerRange = Field(
        default=Range[int | str](1, 1),
        description="How many workers run, each with its own predictor: a number, auto (one per GPU for GPU models, "
        "else one per core), per_gpu, or a range such as {min: 0, max: 4} that follows the load.",
    )
    scaling: ScalingSpec = Field(
        default_factory=ScalingSpec, description="When workers are started and stopped, for a range of workers."
    )
    gpus_per_worker: GpuShare | None = Field(
        default=None,
        description="How many GPUs each worker has to itself; 0.5 lets two workers share one. By default all GPUs "
        "are divided evenly among the workers.",
    )
    recycle: RecycleSpec = Field(
        default_factory=RecycleSpec, description="When a worker is replaced by a fresh one, without a gap."
    )
    isolation: Literal["process", "thread"] = Field(
        default="process",
        description="Where a worker lives: in its own process, or in threads of the server.",
    )
    concurrency: SlotRange = Field(
        default=Range[int](1, 1),
        description="How many predictions one worker runs at once: a number, or a range such as {min: 1, max: 16} "
        "in which the number with the best throughput is found. Of a predictor that takes batches, how many batches: a "
        "number.",
    )
    target_latency: PositiveDuration | None = Field(
        default=None,
        description="For a range of concurrency: what 95 % of the predictions should not run longer than, waiting not "
        "included. As many run at once as keep it.",
    )
    batch: BatchSpec = Field(
        default_factory=BatchSpec, description="How predictions are gathered, for a predictor that takes batches."
    )
    queue: QueueSpec = Field(default_factory=QueueSpec, description="Predictions that wait for a slot.")
    caller: CallerSpec = Field(default_factory=CallerSpec, description="What one caller may have at once.")
    timeout: PositiveDuration | None = Field(
        default=3600.0, description="The whole time a prediction may take, waiting included; null for no limit."
    )
    cancel_grace: Duration = Field(
        default=5.0, description="How long a canceled prediction may take to stop before its worker is replaced."
    )
    hang_timeout: HangTimeout | None = Field(
        default=None,
        description="How long a worker may be blocked, so that its event loop or its predict threads do not answer, "
        "before it is replaced; null for any time.",
    )
    setup_timeout: PositiveDuration = Field(default=600.0, description="How long setup may take.")
    shutdown_grace: Duration = Field(
        default=30.0,
        description="How long predictions may still run, and their webhooks be delivered, after the server was told to "
        "stop.",
    )
    healthcheck_timeout: PositiveDuration = Field(
        default=5.0, description="How long the predictor's healthcheck may take."
    )
    max_body: PositiveSize = Field(
        default=100_000_000, description="The largest request body; larger ones are answered 413."
    )
    max_inputs: int = Field(
        default=10_000, ge=1, description="How many inputs one request for a batch may have; more are answered 422."
    )
    max_output: PositiveSize = Field(default=100_000_000, description="The largest output of one prediction.")
    max_logs: Size = Field(default=1_000_000, description="How much of one prediction's logs is kept.")
    history: HistorySpec = Field(default_factory=HistorySpec, description="Finished predictions that are kept.")
    stream_history: int | None = Field(
        default=None,
        ge=0,
        description="How many past events a client that joins a stream late may still be sent. One that would miss "
        "some gets an error event instead; with 0 it is sent what comes from then on. Null for all.",
    )
    keep_alive: PositiveDuration = Field(
        default=15.0, description="How often a comment is sent on an event stream that has nothing to say."
    )
    stall_timeout: PositiveDuration = Field(
        default=60.0,
        description="How long a client may read nothing of its answer, or send nothing of its request, "
        "before it is given up.",
    )
    fetch: FetchSpec = Field(default_factory=FetchSpec, description="What is allowed when an input names a URL.")
    upload: UploadSpec = Field(default_factory=UploadSpec, description="Where the files of outputs go.")
    webhook: WebhookSpec = Field(
        default_factory=WebhookSpec, description="How receivers that requests name are told of predictions."
    )
    tracebacks: bool = Field(default=True, description="Whether a failed prediction's logs hold its traceback.")
    allow_shutdown: bool = Field(default=False, description="Whether POST /shutdown stops the server.")
    allow_reload: bool = Field(default=False, description="Whether POST /admin/reload brings in new code.")
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="How the server logs: console on a terminal and JSON elsewhere, or always the one named.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important lines that the server logs."
    )

    @field_validator("isolation")
    @classmethod
    def _check_memory_is_known(cls, isolation: str, others: ValidationInfo) -> str:
        recycle: RecycleSpec | None = others.data.get("recycle")
        if isolation == "thread" and recycle is not None and recycle.memory_limit is not None:
            raise unfit(
                "a worker in a thread has no memory of its own to which recycle.memory_limit could apply",
                "Set isolation to process, or remove recycle.memory_limit.",
            )
        return isolation

    @field_validator("target_latency")
    @classmethod
    def _check_target_can_be_met(cls, target: float | None, others: ValidationInfo) -> float | None:
        slots: Range[int] | None = others.data.get("concurrency")
        if target is not None and slots is not None and slots.is_fixed:
            raise unfit(
                "it says how many predictions a worker may run at once, and concurrency is a single number",
                "Write concurrency as a range such as `{min: 1, max: 16}`, or remove target_latency.",
            )
        return target
