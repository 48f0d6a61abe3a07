"""Sources read their file at each fetch, and have different errors for a missing, a damaged and a too large file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import pytest
from fake_server import told
from identity_provider import IdentityProvider

from stskit import Credentials, SAMLAssertion, WebIdentityToken
from stskit.errors import ProofInvalid, SourceError, SourceMissing
from stskit.proofs import Proof
from stskit.protocols import Source
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, Static

ROLE = "arn:aws:iam::123456789012:role/R"
PROVIDER = "arn:aws:iam::123456789012:saml-provider/idp"
IDP = IdentityProvider.create("https://idp.example")
FileSource: TypeAlias = type[SAMLFile] | type[OIDCTokenFile]
FILE_SOURCES: list[FileSource] = [SAMLFile, OIDCTokenFile]


@pytest.fixture
def saml() -> str:
    return IDP.saml_response(roles=[(ROLE, PROVIDER)])


def failure(source: Source[Proof]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.fetch()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


# Files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", FILE_SOURCES)
def test_the_error_for_a_missing_file_has_its_path(source: FileSource, tmp_path: Path) -> None:
    """The error for a missing file has its path and the expected content."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "nowhere", tmp_path / "file" / "below"):
        error = failure(source(path))
        assert type(error) is SourceMissing
        assert f"There is no file {path}. It must contain a" in str(error)


@pytest.mark.parametrize("source", FILE_SOURCES)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. It must contain a"),
        (b"\xef\xbb\xbf \r\n\t\n", "is empty"),
        (b"canary\xff\xfe\x00binary", "is not a text file in UTF-8"),
        ("canary, in UTF-16".encode("utf-16"), ""),
        (b"\xff\xfec", "is not a text file in UTF-8"),
        (b"canary " * 8_000_000, "it is larger than"),
        (b"canary, and other words", ""),
        (b"canary\0canary", ""),
        (b"<!DOCTYPE html><html>canary</html>", ""),
        ("canary-\N{SNOWMAN}".encode(), ""),
    ],
)
def test_a_file_with_other_content_is_invalid(source: FileSource, content: bytes, message: str, tmp_path: Path) -> None:
    """The error for a file with other content names the file and quotes no content."""
    path = tmp_path / "proof"
    path.write_bytes(content)
    error = failure(source(path))
    assert type(error) is ProofInvalid
    assert str(path) in str(error)
    assert message in str(error)
    assert "canary" not in told(error)


@pytest.mark.parametrize("source", FILE_SOURCES)
def test_special_files_are_errors(source: FileSource, tmp_path: Path) -> None:
    """A folder, a FIFO without a writer, an endless device and a link to itself are errors at once."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/zero"), tmp_path / "loop"):
        error = failure(source(path))
        assert type(error) is ProofInvalid
        assert f"{path} cannot be read: " in str(error)
        assert str(error).endswith(". Save it again as a file that you can read.")


@pytest.mark.parametrize("source", FILE_SOURCES)
def test_a_path_with_a_nul_is_a_missing_file(source: FileSource) -> None:
    """A path with a NUL is an error for a missing file."""
    error = failure(source("proof\0"))
    assert type(error) is SourceMissing


@pytest.mark.parametrize("source", FILE_SOURCES)
def test_the_error_shows_what_became_of_the_path(source: FileSource, home: Path) -> None:
    """The error shows the expanded path after "~", and says that variables are not replaced."""
    assert f"There is no file ~/none ({home}/none). It must" in str(failure(source("~/none")))
    error = failure(source("$HOME/none"))
    assert error.remedy == "Check the path, or create the file first. stskit does not replace variables such as $HOME."


@pytest.mark.parametrize("source", FILE_SOURCES)
def test_a_path_can_begin_with_a_tilde(source: FileSource, home: Path, saml: str) -> None:
    """A path can begin with a tilde."""
    (home / "proof").write_text(IDP.oidc_token() if source is OIDCTokenFile else saml)
    (home / "proof").chmod(0o600)
    source(Path("~/proof")).fetch()


def test_a_response_is_read_in_any_form(tmp_path: Path, saml: str) -> None:
    """SAMLFile reads each form of a response at each fetch, and sends the same text."""
    path = tmp_path / "response"
    lines = "\r\n".join(saml[at : at + 76] for at in range(0, len(saml), 76))
    for text in (saml, f"\ufeff{lines}\r\n", saml.rstrip("=")):
        path.write_text(text, newline="")
        assert SAMLFile(path).fetch().value == saml
    assert SAMLFile(path).fetch().principal_for(ROLE) == PROVIDER
    assert SAMLFile(path, "arn:aws:iam::123456789012:saml-provider/x").fetch().principal_for(ROLE).endswith("/x")


def test_the_repr_of_a_source_has_its_path_only(tmp_path: Path) -> None:
    """The repr of a source has its path and no content. Sources with the same path are equal."""
    assert repr(SAMLFile(tmp_path / "x")) == f"SAMLFile(path='{tmp_path / 'x'}', principal_arn=None)"
    assert repr(OIDCTokenFile("x", strict=True)) == "OIDCTokenFile(path='x')"
    assert repr(Profile("base", process_timeout=5)) == "Profile(name='base')"
    assert OIDCTokenFile(tmp_path / "x") == OIDCTokenFile(str(tmp_path / "x"))
    assert "canary" not in repr(Static(Credentials("AKIA", "canary", "canary")))


def test_static_returns_its_object() -> None:
    """Static returns the given object."""
    for proof in (Credentials("AKIA", "secret"), WebIdentityToken("token"), SAMLAssertion("assertion")):
        source: Source[Proof] = Static(proof)
        assert source.fetch() is proof
