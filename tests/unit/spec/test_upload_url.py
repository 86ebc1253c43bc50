"""`serve.upload.url`: what it may be, and who may read it."""

from pathlib import Path

import pytest

from servekit.errors import SpecError, UsageError
from servekit.spec import Spec, apply_overrides, load_spec

SPEC = Spec(predictor="predict.py:Predictor", path=Path("/project/servekit.yaml"))


def load(folder: Path, url: str) -> Spec:
    (folder / "servekit.yaml").write_text(f'predictor: predict.py:Predictor\nserve:\n  upload:\n    url: "{url}"\n')
    return load_spec(folder)


@pytest.mark.parametrize(
    "url", ["https://x.org", "http://127.0.0.1:9000/up/?sig=a%20b&c", "http://[::1]/{id}/x", "http://host_1.docker"]
)
def test_a_url_of_http_is_taken(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, url).serve.upload.url == url


NO_URLS = """
x.org/up ftp://x.org https:// https:///up https://x.org/#f http://x:99999 http://[x/ http://x<y/ http://x.org:0/
http://{id}.x.org/
"""


@pytest.mark.parametrize("url", ["", "https://x.org/a b", *NO_URLS.split()])
def test_anything_else_is_a_fault(tmp_path: Path, url: str) -> None:
    with pytest.raises(SpecError, match=r"servekit.yaml:4: serve.upload.url is .*it must be a URL of http or https"):
        load(tmp_path, url)


def test_the_id_stands_in_the_path_only(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"`\{id\}` may stand in the path only"):
        load(tmp_path, "https://x.org/?id={id}")


def test_a_password_does_not_belong_into_a_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="could be read by everybody who has the image") as raised:
        load(tmp_path, "https://ann:secret@x.org/up")

    assert "SERVEKIT_UPLOAD_URL" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_variable_may_hold_a_password() -> None:
    url = "https://ann:secret@x.org/up"

    assert apply_overrides(SPEC, {"SERVEKIT_UPLOAD_URL": url}).serve.upload.url == url


def test_what_is_wrong_with_a_variable_is_told_without_its_password() -> None:
    with pytest.raises(UsageError, match=r'SERVEKIT_UPLOAD_URL is "ftp://\*\*\*@x.org"; it must be a URL') as raised:
        apply_overrides(SPEC, {"SERVEKIT_UPLOAD_URL": "ftp://ann:secret@x.org"})

    assert "secret" not in str(raised.value)
