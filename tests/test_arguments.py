"""Checks of arguments: wrong types, values that are not paths, and secrets in wrong arguments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_plus

import jwt
import pytest
from helpers import shown_locals
from saml_samples import encoded, response

from stskit import Role, WebIdentityToken
from stskit.__main__ import main
from stskit._arguments import check_method, check_type, expanded, path_text
from stskit.caches import FileCache
from stskit.errors import ProofInvalid, SinkError, StskitError
from stskit.roles import RoleARN
from stskit.sinks import CredentialsFile, DotEnv, ShellExports
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, Static

ROLE = "arn:aws:iam::123456789012:role/app"


def test_a_wrong_type_is_named_and_never_quoted() -> None:
    """The message about a wrong type has the class of the value but not the value, which can be a secret."""
    with pytest.raises(TypeError, match=r"^role must be a Role or an ARN, not bytes\. Write Role\(arn\)\.$"):
        check_type("role", b"canary", str, "a Role or an ARN", "Write Role(arn).")
    check_type("role", "arn", (str, Path), "a Role or an ARN")


def test_a_class_instead_of_an_instance_is_reported() -> None:
    """A source class that is passed instead of an instance causes an error that says so."""
    with pytest.raises(
        TypeError, match=r"^source must be a source, not the class Static itself\. Write Static\(\.\.\.\)\.$"
    ):
        check_method("source", Static, "fetch", "a source")
    with pytest.raises(TypeError, match=r"^source must be a source, not str\. Did you mean Profile"):
        check_method("source", "base", "fetch", "a source", "Did you mean Profile('base')?")
    check_method("source", Static(WebIdentityToken("token")), "fetch", "a source")


TOKEN = jwt.encode({"sub": "canary"}, "a key that is long enough for it")
RESPONSE = encoded(response())
KEYS = '{"AccessKeyId": "canary-canary"}'
SECRETS = {
    "a JSON Web Token": [
        TOKEN,
        f" {TOKEN}\n",
        f'"{TOKEN}"',
        f"Bearer {TOKEN}",
        f"TOKEN={TOKEN}",
        "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn",
        TOKEN.partition(".")[0],
    ],
    "XML": ["<samlp:Response>canary", "\ufeff <?xml version='1.0'?><canary/>", "%3Csamlp%3AResponse%3Ecanary"],
    "JSON": ['{"AccessKeyId": "canary"}', '[{"AccessKeyId": "canary"}]', " {canary"],
    "a form with a SAML response": ["SAMLResponse=PHNhbWxw", f"RelayState=&SAMLResponse={quote_plus(RESPONSE)}"],
    "base64": [RESPONSE, quote_plus(RESPONSE), RESPONSE[:60], "IQoJb3JpZ2luX2Vj" * 9 + "/" + "Zm9vYmFy" * 20],
    "text of several lines": ["canary\ncanary", "[default]\raws_secret_access_key = canary"],
    "a long text without slashes": ["canary-" * 40, "Atza|canary-" * 30],
}
PATHS = [
    *(
        "token",
        "./a b/response.b64",
        "~/x",
        "/" + "folder/" * 90 + "file",
        "folder/" * 90 + "file",
        "C:\\x.har",
        "[a]/b",
    ),
    *("PHOTOS/2024/summer/picture", "eyJ", "a.eyJhbGciOiJSUzI1NiJ9", "-", "/dev/fd/63", "\u00e9" * 100),
    *("f" * 64, "d" * 119, "[a]/b", "AKIAIOSFODNN7EXAMPLE"),
]


@pytest.mark.case("P44")
@pytest.mark.parametrize(("kind", "secret"), [(kind, each) for kind, texts in SECRETS.items() for each in texts])
def test_a_secret_instead_of_a_path_is_not_quoted(kind: str, secret: str) -> None:
    """If a secret is passed as a path, the error names the kind of secret and the remedy but does not quote it."""
    with pytest.raises(ProofInvalid, match=f"^path must be the path of a file, but this is {kind} ") as caught:
        path_text(secret, ProofInvalid, remedy="write Static(WebIdentityToken(token))")
    assert not shared(secret, f"{caught.value!r}{caught.value}")
    assert caught.value.option == "path"


def shared(secret: str, shown: str) -> list[str]:
    """Return the parts of *secret* that occur in *shown*."""
    return [secret[at : at + 8] for at in range(len(secret) - 7) if secret[at : at + 8] in shown]


@pytest.mark.parametrize("path", PATHS)
def test_a_possible_path_is_not_considered_a_secret(path: str) -> None:
    """A valid path is accepted, even if it is long or its folder has an unusual name."""
    assert path_text(path, ProofInvalid, remedy="") == path


PLACES: dict[str, Callable[[str], object]] = {
    "OIDCTokenFile": OIDCTokenFile,
    "SAMLFile": SAMLFile,
    "the variable": lambda secret: OIDCTokenFile.from_env({"AWS_WEB_IDENTITY_TOKEN_FILE": secret}),
    "CredentialsFile": lambda secret: CredentialsFile("p", secret),
    "the config file": lambda secret: CredentialsFile("p", config_path=secret),
    "the profile": CredentialsFile,
    "DotEnv": DotEnv,
    "FileCache": FileCache,
    "Role": Role,
    "the session name": lambda secret: Role(ROLE, session_name=f"{secret[:60]} x"),
    "ShellExports": lambda secret: ShellExports(shell=secret),  # type: ignore[arg-type]
    "Profile": lambda secret: Profile(secret).fetch(),
    "RoleARN": RoleARN.parse,
}


@pytest.mark.case("P44")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "secret", [TOKEN, RESPONSE, '{"SecretAccessKey": "canary-canary"}'], ids=["token", "saml", "json"]
)
def test_no_argument_quotes_a_secret(place: str, secret: str, home: Path) -> None:
    """No constructor or function quotes a secret that is passed as a path, a name or an ARN."""
    with pytest.raises(StskitError) as caught:
        PLACES[place](secret)
    error = caught.value
    assert not shared(secret, f"{error!r}{error}{vars(error)}{shown_locals(error)}")


def test_the_variable_that_contains_a_token_is_named() -> None:
    """The error about a token in AWS_WEB_IDENTITY_TOKEN_FILE names this variable instead of an argument."""
    with pytest.raises(ProofInvalid, match="^AWS_WEB_IDENTITY_TOKEN_FILE must be the path") as caught:
        OIDCTokenFile.from_env({"AWS_WEB_IDENTITY_TOKEN_FILE": TOKEN})
    assert (caught.value.option, caught.value.variable) == (None, "AWS_WEB_IDENTITY_TOKEN_FILE")


@pytest.mark.case("P44")
@pytest.mark.parametrize(
    ("words", "secret"),
    [
        (["assume", ROLE, "--to-process", "--oidc-token-file", TOKEN], TOKEN),
        (["assume", ROLE, "--to-process", "--saml-file", RESPONSE], RESPONSE),
        (["roles", RESPONSE], RESPONSE),
        (["assume", ROLE, "--to-process", "--keys-file", KEYS], KEYS),
        (["assume", ROLE, "--to-process", "--policy-file", KEYS], KEYS),
        (["doctor", "--offline", "--oidc-token-file", TOKEN], TOKEN),
        (["doctor", "--offline", "--saml-file", RESPONSE], RESPONSE),
        (
            ["doctor", "--offline", "--keys-file", '{"AccessKeyId": "canary-canary"}'],
            '{"AccessKeyId": "canary-canary"}',
        ),
    ],
)
@pytest.mark.parametrize("json", [False, True])
def test_the_command_line_quotes_no_secret_either(
    words: list[str], secret: str, json: bool, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line does not quote a secret that is passed as a path; the message names a remedy."""
    assert main([*words, *(["--json"] if json else [])]) != 0
    shown = "".join(capsys.readouterr())
    assert not shared(secret, shown)
    assert "path" in shown or "Save it in a file" in shown


def test_a_path_is_text_or_a_path_object() -> None:
    """A path must be text or a path object. Bytes are refused, because messages show the path."""
    assert path_text(Path("a/b"), SinkError, remedy="") == path_text("a/b", SinkError, remedy="") == "a/b"
    with pytest.raises(TypeError, match="path must be a path as text or os.PathLike"):
        path_text(b"a/b", SinkError, remedy="")


@pytest.mark.parametrize("path", ["~nobody-here/x", "$HOME/x", "${HOME}/x", "a\0b", "\ud800"])
def test_a_path_that_was_not_expanded_is_refused(path: str) -> None:
    """A path that begins with an unknown user's home, has an unexpanded variable, or cannot be encoded is refused."""
    with pytest.raises(SinkError, match="cannot be used as a path"):
        expanded(path, SinkError)


def test_the_home_folder_is_expanded(home: Path) -> None:
    """A tilde at the start of a path is replaced by the home folder, as in a shell."""
    assert expanded("~/x", SinkError) == str(home / "x")
