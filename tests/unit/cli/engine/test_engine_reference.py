"""Names of images."""

import pytest

from servekit.errors import UsageError
from servekit_cli.engine import check_tag, parse_image_name


@pytest.mark.parametrize(
    ("text", "repository", "tag"),
    [
        ("my-model", "my-model", "latest"),
        ("my-model:v2.0_RC-1", "my-model", "v2.0_RC-1"),
        ("team/a__b--c.d", "team/a__b--c.d", "latest"),
        ("localhost:5000/x", "localhost:5000/x", "latest"),
        ("Registry.Example.com:5000/team/x:1", "Registry.Example.com:5000/team/x", "1"),
        ("[::1]:5000/x:1", "[::1]:5000/x", "1"),
    ],
)
def test_a_name_has_parts(text: str, repository: str, tag: str) -> None:
    name = parse_image_name(text)

    assert (name.repository, name.tag) == (repository, tag)
    assert str(name) == f"{repository}:{tag}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("My-Model", "capital letters are allowed in the tag only"),
        ("team/My-Model:V1", "capital letters"),
        ("", "only small letters"),
        ("my model", "only small letters"),
        ("-x", "only small letters"),
        ("x.", "only small letters"),
        ("a//b", "only small letters"),
        ("x:", "only small letters"),
        ("https://example.com/x", "only small letters"),
        ("x:y:z", "only small letters"),
        ("x:.y", "the tag after the colon"),
        ("x:a b", "the tag after the colon"),
        ("x:" + "y" * 129, "the tag after the colon"),
        ("x@sha256:" + "a" * 64, "a digest is made by the registry"),
        ("a" * 256, "it has 256 characters"),
        ("ab" * 32, "are an image's id"),
        ("x\n", "only small letters"),
        ("--help", "only small letters"),
    ],
)
def test_what_cannot_be_a_name_is_refused_with_the_reason(text: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault) as caught:
        check_tag(text)

    assert "Names look like my-model" in str(caught.value)


def test_a_digest_is_a_part_where_it_may_be() -> None:
    digest = "sha256:" + "0" * 64

    name = parse_image_name(f"localhost:5000/x:v1@{digest}", may_have_digest=True)

    assert (name.repository, name.tag) == ("localhost:5000/x", digest)
    assert str(name) == f"localhost:5000/x@{digest}"


def test_half_a_digest_is_none() -> None:
    with pytest.raises(UsageError, match="digest"):
        parse_image_name("x@sha256:0", may_have_digest=True)
