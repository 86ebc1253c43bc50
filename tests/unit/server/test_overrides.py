"""The settings that a request overrides, where no settings are declared."""

from servekit.server.overrides import OverrideChecker


def test_without_declared_settings_the_key_is_free() -> None:
    OverrideChecker(None).check({"settings": "anything"})
