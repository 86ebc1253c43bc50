"""Where files of outputs are put, and what they are called."""

import pytest

from servekit.runtime.uploading.target import Names, UploadTarget, read_location

URLS = {
    ("https://x.org", "a.png"): "https://x.org/a.png",
    ("https://x.org/up", "a.png"): "https://x.org/up/a.png",
    ("https://x.org/up/", "a.png"): "https://x.org/up/a.png",
    ("https://x.org/up?sig=1&t=2", "a.png"): "https://x.org/up/a.png?sig=1&t=2",
    ("https://u:p@x.org:8443/up", "a.png"): "https://u:p@x.org:8443/up/a.png",
    ("https://x.org/up", "a b?#%ü.png"): "https://x.org/up/a%20b%3F%23%25%C3%BC.png",
    ("https://x.org/up", "a+b,(1)@2.png"): "https://x.org/up/a+b,(1)@2.png",
    ("https://x.org/up", "bad\udcff.png"): "https://x.org/up/bad%FF.png",
    ("https://x.org/{id}", "a.png"): "https://x.org/p-1/a.png",
    ("https://x.org/{id}/{id}/x", "{id}.png"): "https://x.org/p-1/p-1/x/%7Bid%7D.png",
}


@pytest.mark.parametrize(("given", "url"), URLS.items())
def test_a_file_is_put_below_the_path_and_before_the_query(given: tuple[str, str], url: str) -> None:
    base, name = given

    assert UploadTarget(base, 1, 0).url_of(name, "p-1") == url


@pytest.mark.parametrize("prediction_id", [".", "..", "..."])
def test_an_id_of_dots_leads_to_no_other_folder(prediction_id: str) -> None:
    url = UploadTarget("https://x.org/a/{id}", 1, 0).url_of("f", prediction_id)

    assert url == f"https://x.org/a/_{prediction_id}/f"


def test_the_first_keeps_its_name_and_each_other_gets_one_of_its_own() -> None:
    names = Names()

    taken = [names.take(name) for name in ("a.png", "b.png", "a.png", "a-1.png", "a.png", "a-1.png")]

    assert taken == ["a.png", "b.png", "a-1.png", "a-1-1.png", "a-2.png", "a-1-2.png"]


@pytest.mark.parametrize(
    ("name", "second"), [("noending", "noending-1"), (".hidden", ".hidden-1"), ("a.tar.gz", "a.tar-1.gz")]
)
def test_a_number_goes_before_the_ending(name: str, second: str) -> None:
    names = Names()
    names.take(name)

    assert names.take(name) == second


def test_many_files_of_one_name_are_numbered_without_searching() -> None:
    names = Names()

    taken = [names.take("frame.png") for _ in range(20_000)]

    assert len(set(taken)) == 20_000
    assert taken[-1] == "frame-19999.png"


LOCATIONS = {
    ("https://x.org/up/a.png?sig=1", None): "https://x.org/up/a.png",
    ("https://u:p@x.org/up/a.png", None): "https://x.org/up/a.png",
    ("https://u:p@x.org/up/a.png", "/kept/a.png?sig=2"): "https://x.org/kept/a.png",
    ("https://x.org/up/a.png", "https://v:q@cdn.org/a.png?x=1"): "https://cdn.org/a.png",
    ("https://x.org/up/a.png", "s3://bucket/a.png"): "s3://bucket/a.png",
    ("https://x.org/up/a.png", "http://[broken"): "https://x.org/up/a.png",
}


@pytest.mark.parametrize(("given", "url"), LOCATIONS.items())
def test_the_url_of_a_file_is_its_location_without_secrets(given: tuple[str, str | None], url: str) -> None:
    assert read_location(*given) == url
