"""Checks of arguments: wrong types, and paths that are not paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from stskit import WebIdentityToken
from stskit._arguments import check_method, check_type, expanded, path_text
from stskit.errors import ProofInvalid, SinkError
from stskit.sources import Static

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"


def test_a_wrong_type_is_named_and_never_quoted() -> None:
    """The value may be a secret, so the message has its class alone."""
    with pytest.raises(TypeError, match=r"^role must be a Role or an ARN, not bytes\. Write Role\(arn\)\.$"):
        check_type("role", b"canary", str, "a Role or an ARN", "Write Role(arn).")
    check_type("role", "arn", (str, Path), "a Role or an ARN")


def test_a_class_in_the_place_of_an_instance_is_named_so() -> None:
    """It has the methods, but they cannot be called."""
    with pytest.raises(TypeError, match=r"^source must be a source, not the class Static itself\. It needs a method"):
        check_method("source", Static, "fetch", "a source")
    with pytest.raises(TypeError, match=r"^source must be a source, not str\. Did you mean Profile"):
        check_method("source", "base", "fetch", "a source", "Did you mean Profile('base')?")
    check_method("source", Static(WebIdentityToken("token")), "fetch", "a source")


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        (JWT, "a JSON Web Token"),
        ("<samlp:Response>canary", "XML"),
        ('{"AccessKeyId": "canary"}', "JSON"),
        ("canary\ncanary", "text of several lines"),
        ("canary-" * 40, "a long text without slashes"),
        ("PHNhbWxwOlJlc3BvbnNl" * 8, "base64"),
    ],
)
def test_a_secret_in_the_place_of_a_path_is_not_quoted(secret: str, kind: str) -> None:
    """The error says what it seems to be, and what to write."""
    with pytest.raises(ProofInvalid, match=kind) as caught:
        path_text(secret, ProofInvalid, remedy="write Static(WebIdentityToken(token))")
    assert secret not in str(caught.value)
    assert "canary" not in repr(caught.value)
    assert caught.value.option == "path"


def test_a_path_is_text_or_a_path_object() -> None:
    """Bytes are not, since messages name it."""
    assert path_text(Path("a/b"), SinkError, remedy="") == path_text("a/b", SinkError, remedy="") == "a/b"
    with pytest.raises(TypeError, match="path must be a path as text or os.PathLike"):
        path_text(b"a/b", SinkError, remedy="")


@pytest.mark.parametrize("path", ["~nobody-here/x", "$HOME/x", "${HOME}/x", "a\0b"])
def test_a_path_that_was_not_expanded_is_refused(path: str) -> None:
    """A folder of that name in the working directory is never meant."""
    with pytest.raises(SinkError, match="cannot be used as a path"):
        expanded(path, SinkError)


def test_the_home_folder_is_filled_in(home: Path) -> None:
    """As shells do it."""
    assert expanded("~/x", SinkError) == str(home / "x")
