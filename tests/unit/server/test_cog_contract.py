"""What clients of Cog are told where it takes a special moment to see it over HTTP."""

from pathlib import Path

import pytest
from logbook import Logbook

from servekit.errors import BusyError, CallerLimitError, ReceiverBusyError, ServekitError, StreamLimitError
from servekit.server.cog_contract import CogContract
from servekit.server.problems import Refusal, refuse_error
from servekit.server.readiness_file import ReadinessFile

IN_KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


@pytest.fixture
def contract(logbook: Logbook) -> CogContract:
    return CogContract(ReadinessFile({}, logbook.log))


@pytest.mark.parametrize(
    ("error", "status", "more"),
    [
        (BusyError("full", 3), 409, {"error": "At capacity - all prediction slots busy", "status": "failed"}),
        (StreamLimitError("too many", 3), 429, {"error": "Too many stream subscribers"}),
        (CallerLimitError("enough", 3), 429, {"error": "enough"}),
        (ReceiverBusyError("it hangs", 3), 503, {"error": "it hangs", "status": "failed"}),
        (ServekitError("hm"), 500, {"error": "hm"}),
    ],
)
def test_an_error_has_cog_s_status_and_words_beside_ours(
    contract: CogContract, error: ServekitError, status: int, more: dict[str, str]
) -> None:
    own = refuse_error(error)

    told = contract.refuse(own)

    assert (told.status, told.detail, told.more, told.headers) == (status, str(error), more, own.headers)


def test_what_an_error_tells_besides_stays(contract: CogContract) -> None:
    told = contract.refuse(Refusal(413, "large", is_before_the_end=True, more={"blocked": []}))

    assert (told.more, told.is_before_the_end) == ({"blocked": [], "error": "large"}, True)


def test_in_kubernetes_a_file_says_that_the_server_is_ready(logbook: Logbook, tmp_path: Path) -> None:
    path = tmp_path / "cog" / "ready"
    contract = CogContract(ReadinessFile(IN_KUBERNETES, logbook.log, path))

    contract.note_ready()

    assert path.read_bytes() == b""


def test_elsewhere_there_is_no_such_file(logbook: Logbook, tmp_path: Path) -> None:
    path = tmp_path / "cog" / "ready"

    CogContract(ReadinessFile({}, logbook.log, path)).note_ready()

    assert not path.parent.exists()


def test_a_file_that_cannot_be_written_is_logged_once(logbook: Logbook, tmp_path: Path) -> None:
    (tmp_path / "cog").touch()
    contract = CogContract(ReadinessFile(IN_KUBERNETES, logbook.log, tmp_path / "cog" / "ready"))

    contract.note_ready()
    contract.note_ready()

    (line,) = logbook.lines
    assert (line["level"], line["path"]) == ("warning", str(tmp_path / "cog" / "ready"))
