"""`python -m servekit.server`."""

from pathlib import Path

import pytest

from servekit.errors import SpecError
from servekit.server.program import main
from servekit.spec import list_settings


def test_every_setting_has_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])

    text = capsys.readouterr().out
    for setting in list_settings():
        assert setting.flag in text


def test_a_missing_spec_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--spec", str(tmp_path)])

    assert code == SpecError.exit_code
    assert "There is no servekit.yaml" in capsys.readouterr().err


def test_a_wrong_value_names_its_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor")

    code = main(["--spec", str(tmp_path), "--workers", "many"])

    assert code == 2
    assert "--workers" in capsys.readouterr().err


def test_a_wrong_secret_for_webhooks_is_told_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor")
    monkeypatch.setenv("SERVEKIT_WEBHOOK_SECRET", "geheim")

    code = main(["--spec", str(tmp_path)])

    text = capsys.readouterr().err
    assert (code, "SERVEKIT_WEBHOOK_SECRET" in text, "geheim" in text) == (2, True, False)
