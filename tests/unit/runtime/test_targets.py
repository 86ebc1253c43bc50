"""URLs that somebody else wrote."""

import pytest

from servekit.runtime.targets import Target, TargetError, look_up, show_url


@pytest.mark.parametrize(
    ("url", "host", "port", "header", "uri"),
    [
        ("http://example.com", "example.com", 80, "example.com", "/"),
        ("HTTPS://Example.COM/a b?c=d#e", "example.com", 443, "example.com", "/a%20b?c=d"),
        ("https://example.com:8443/x", "example.com", 8443, "example.com:8443", "/x"),
        ("http://[::1]:80/", "::1", 80, "[::1]:80", "/"),
    ],
)
def test_a_url_is_taken_apart(url: str, host: str, port: int, header: str, uri: str) -> None:
    target = Target.of(url)

    assert (target.host, target.port, target.host_header, target.request_uri) == (host, port, header, uri)


@pytest.mark.parametrize("url", ["", "x", "file:///etc/passwd", "http://", "http://a:x/", "http://a\nb/"])
def test_what_cannot_be_asked_for_is_no_target(url: str) -> None:
    with pytest.raises(TargetError):
        Target.of(url)


def test_what_is_shown_of_a_url_has_no_secrets() -> None:
    url = "https://user:geheim@example.com/a?key=geheim"

    assert (Target.of(url).shown, show_url(url)) == ("https://example.com/a", "example.com/a")


def test_a_host_that_does_not_exist_is_told() -> None:
    with pytest.raises(TargetError, match=r'there is no host "no-such-host\.invalid"'):
        look_up("no-such-host.invalid", 80)


def test_a_host_has_its_addresses_once_each() -> None:
    assert look_up("127.0.0.1", 80) == ["127.0.0.1"]
