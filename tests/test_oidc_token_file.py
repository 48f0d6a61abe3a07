"""A token file is read at each fetch and checked before it is sent, and no error shows its content."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from fake_server import Answer, Request, fake_server, granted, told
from helpers import START
from hypothesis import given
from hypothesis import strategies as st
from local_aws import LocalAWS

from stskit import AssumedRole, Cached, assume
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, RoleError, SourceMissing, STSError, StskitWarning
from stskit.sources import OIDCTokenFile
from stskit.sts import BotocoreSTS
from stskit.testing import ManualClock

KEY = "a key that is long enough for it"
ROLE = "arn:aws:iam::123456789012:role/R"
CLOCK = ManualClock(START)


def signed(**claims: object) -> str:
    return jwt.encode({"sub": "canary-subject", **claims}, KEY)


TOKEN = signed()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token"


def write(path: Path, text: str | bytes) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)


def failure(source: OIDCTokenFile) -> ProofInvalid:
    with pytest.raises(ProofInvalid) as caught:
        source.fetch()
    assert caught.value.__context__ is None
    assert source.path in str(caught.value)
    return caught.value


# What is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.case("J1")
@pytest.mark.parametrize("wrapping", ["{}", "{}\n", "{}\r\n", "\n \t{} \n\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_space_around_a_token_is_not_sent(wrapping: str, encoding: str, path: Path) -> None:
    """Line ends, spaces and a byte order mark around a token are not sent."""
    write(path, wrapping.format(TOKEN).encode(encoding))
    token = OIDCTokenFile(path).fetch()
    assert token.value == TOKEN
    assert isinstance(token.value, Secret)


@pytest.mark.case("J3", "P54")
@pytest.mark.parametrize(("length", "good"), [(3, False), (4, True), (20_000, True), (20_001, False)])
@pytest.mark.filterwarnings("ignore:.*not a JSON Web Token")
def test_tokens_of_the_lengths_of_sts_are_sent(length: int, good: bool, path: Path) -> None:
    """Tokens of 4 to 20,000 characters are sent, also opaque ones."""
    write(path, "x" * length)
    if good:
        assert len(OIDCTokenFile(path).fetch().value) == length
    else:
        rule = f"contains {length:,} characters that are not an OIDC token: a token has 4 to 20,000 characters"
        assert rule in str(failure(OIDCTokenFile(path)))


@pytest.mark.case("J12")
@pytest.mark.parametrize("inside", ["\n", "\r\n", " ", "\0", "\x7f", "é"])
def test_a_character_that_no_token_has_is_refused(inside: str, path: Path) -> None:
    """A token with a character that no token has, such as a line break, is refused."""
    write(path, f"{TOKEN[:9]}{inside}{TOKEN[9:]}")
    assert "canary" not in told(failure(OIDCTokenFile(path)))


@given(st.text(min_size=4, max_size=40))
@pytest.mark.filterwarnings("ignore::stskit.errors.StskitWarning")
def test_no_character_inside_a_token_is_changed(path: Path, text: str) -> None:
    """The token is the content of the file without spaces around it. No character inside is dropped or changed."""
    write(path, text.encode("utf-8", "surrogatepass"))
    try:
        value = str(OIDCTokenFile(path).fetch().value)
    except ProofInvalid:
        return
    assert value == text.removeprefix("\ufeff").strip()
    assert value.isascii()
    assert value.isprintable()


# JSON -------------------------------------------------------------------------------------------------------------


def test_a_token_can_be_a_field_of_a_json_file(path: Path) -> None:
    """A token can be a field of a JSON file with other fields."""
    write(path, f'{{"expires_in": 5, "id_token": "{TOKEN}"}}')
    assert OIDCTokenFile(path, json_field="id_token").fetch().value == TOKEN


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("canary", "is not valid JSON"),
        ("[" * 50_000, "is not valid JSON"),
        ('["id_token", "canary"]', "has no field 'id_token' that is text"),
        ('{"token": "canary"}', "has no field 'id_token'"),
        ('{"id_token": ["canary"]}', "has no field 'id_token'"),
        ('{"id_token": "canary canary"}', "not an OIDC token"),
        ('{"id_token": ""}', "not an OIDC token"),
    ],
)
def test_a_missing_json_field_is_named(content: str, message: str, path: Path) -> None:
    """The error for a missing JSON field names the field, and shows no other content."""
    write(path, content)
    error = failure(OIDCTokenFile(path, json_field="id_token"))
    assert message in str(error)
    assert "canary" not in told(error)


def test_json_without_json_field_is_refused(path: Path) -> None:
    """JSON without json_field is refused."""
    write(path, f'{{"id_token":"{TOKEN}"}}')
    assert (
        "contains JSON, not only an OIDC token. Pass the name of the field that has the token: json_field=..."
        in str(failure(OIDCTokenFile(path)))
    )


# Time -------------------------------------------------------------------------------------------------------------


@pytest.mark.case("J9")
@pytest.mark.parametrize(("exp", "good"), [(1, True), (0, False), (-60, False)])
def test_an_expired_token_is_not_sent(exp: int, good: bool, path: Path) -> None:
    """A token that has expired is refused with both times."""
    write(path, signed(exp=int(START.timestamp()) + exp))
    source = OIDCTokenFile(path, clock=CLOCK)
    if good:
        source.fetch()
    else:
        end = f"{START + timedelta(seconds=exp):%Y-%m-%d %H:%M:%S} UTC"
        assert f"the token expired at {end}. The time is 2026-11-25 12:00:00 UTC. Check the program that renews" in str(
            failure(source)
        )


@pytest.mark.case("J9")
@pytest.mark.parametrize(
    ("nbf", "skew", "good"), [(240, 240, True), (241, 240, False), (1, 0, False), (900, 900, True)]
)
def test_a_token_that_is_not_yet_valid_is_not_sent(nbf: int, skew: int, good: bool, path: Path) -> None:
    """A token that is not yet valid is refused. The tolerance for clocks is an option."""
    write(path, signed(nbf=int(START.timestamp()) + nbf))
    source = OIDCTokenFile(path, clock=CLOCK, skew=timedelta(seconds=skew))
    assert OIDCTokenFile(path).skew == timedelta(minutes=4)
    if good:
        source.fetch()
    else:
        assert "the token is not valid before 2026-11-25 12:0" in str(failure(source))


@pytest.mark.case("J9", "P28")
def test_a_token_that_is_refused_locally_costs_no_request(path: Path) -> None:
    """A token that stskit refuses costs no request."""
    write(path, signed(exp=1))
    with fake_server(granted) as server, pytest.raises(ProofInvalid, match="expired at 1970"):
        assume(ROLE, source=OIDCTokenFile(path), sts=BotocoreSTS(endpoint_url=server.url))
    assert server.requests == []


# Form and mode ----------------------------------------------------------------------------------------------------


@pytest.mark.case("J7", "J8")
@pytest.mark.parametrize(
    ("token", "what"),
    [
        ("opaque-canary-token", "a token that is not a JSON Web Token"),
        ("two.parts", "a token that is not a JSON Web Token"),
        (jwt.encode({"sub": "canary"}, "", algorithm="none"), "a token without a signature"),
        (f"{TOKEN.rpartition('.')[0]}.", "a token without a signature"),
    ],
)
def test_an_unusual_token_is_sent_with_a_warning(token: str, what: str, path: Path) -> None:
    """An unusual token is sent with a warning, or refused with strict=True."""
    write(path, token)
    with pytest.warns(StskitWarning, match=f"contains {what}, which STS may refuse. Save the ID token") as warned:
        assert OIDCTokenFile(path).fetch().value == token
    assert warned[0].filename == __file__
    assert "canary" not in str(warned[0].message)
    assert f"contains {what}" in str(failure(OIDCTokenFile(path, strict=True)))


@pytest.mark.case("J11")
@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o604, 1)])
def test_a_token_that_every_user_can_read_causes_one_warning(mode: int, warned: int, path: Path) -> None:
    """A token that every user can read causes one warning for each line that reads it."""
    write(path, TOKEN)
    path.chmod(mode)
    with warnings.catch_warnings(record=True) as told_of:
        warnings.simplefilter("default")
        for _ in range(3):
            OIDCTokenFile(path).fetch()
    assert len(told_of) == warned
    assert all("is readable by every user of this machine. Run: chmod 600" in str(each.message) for each in told_of)


@pytest.mark.case("J11")
def test_a_token_of_another_user_causes_a_warning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token file of another user causes a warning."""
    write(path, TOKEN)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    if path.stat().st_uid == 0:
        os.chown(path, 12345, -1)
    with pytest.warns(StskitWarning, match="contains a token and belongs to another user"):
        OIDCTokenFile(path).fetch()


def test_a_token_of_root_causes_no_warning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token file of root causes no warning."""
    write(path, TOKEN)
    if path.stat().st_uid != 0:
        pytest.skip("only root can make a file of root's")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert OIDCTokenFile(path).fetch().value == TOKEN


def kubernetes(folder: Path, name: str, token: str) -> None:
    """Create a projected volume as Kubernetes does: a dated folder and a link that changes."""
    (folder / name).mkdir()
    (folder / name / "token").write_text(token)
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").replace(folder / "..data")
    if not (folder / "token").is_symlink():
        (folder / "token").symlink_to("..data/token")


@pytest.mark.case("J11")
def test_a_token_mounted_by_kubernetes_causes_no_warning(tmp_path: Path) -> None:
    """A token that Kubernetes has mounted causes no warning."""
    kubernetes(tmp_path, "..2026_11_25", TOKEN)
    assert OIDCTokenFile(tmp_path / "token").fetch().value == TOKEN


def test_a_file_removed_after_the_read_causes_no_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is removed right after the read causes no error."""
    write(path, TOKEN)
    monkeypatch.setattr(os, "geteuid", path.unlink)
    monkeypatch.setattr(os, "stat", lambda _path: os.lstat("/nowhere"))
    assert OIDCTokenFile(path).fetch().value == TOKEN


# Again and again --------------------------------------------------------------------------------------------------


@pytest.mark.case("J2")
@pytest.mark.parametrize("full_after", [1, 2, 3])
def test_an_empty_file_is_read_three_times(full_after: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty file is read three times within a fifth of a second, and is then an error."""
    write(path, "")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == full_after:
            write(path, TOKEN)

    monkeypatch.setattr("stskit.sources.proof_file.sleep", pause)
    if full_after < 3:
        assert OIDCTokenFile(path).fetch().value == TOKEN
    else:
        assert "is empty. It must contain an OIDC token" in str(failure(OIDCTokenFile(path)))
    assert pauses == [0.05, 0.15][:full_after]


@pytest.mark.case("J4")
def test_a_changed_link_returns_a_complete_token(tmp_path: Path) -> None:
    """During a thousand changes of a link, each read returns one of the tokens completely."""
    tokens = [signed(number=number) for number in range(1000)]
    kubernetes(tmp_path, "..0", tokens[0])

    def swap() -> None:
        for number, token in enumerate(tokens[1:], 1):
            kubernetes(tmp_path, f"..{number}", token)

    swapper = threading.Thread(target=swap)
    swapper.start()
    source = OIDCTokenFile(tmp_path / "token")
    read = [source.fetch().value for _ in range(1000)]
    swapper.join()
    order = [tokens.index(token) for token in [*read, source.fetch().value]]
    assert order == sorted(order)
    assert order[-1] == 999


@pytest.mark.case("J5", "J6")
def test_each_refresh_reads_the_file(path: Path) -> None:
    """Each refresh reads the file. If the file is missing, the current credentials stay in use."""
    clock = ManualClock(START)
    write(path, signed(number=1))
    clock.set(clock.now().replace(year=2036))

    def lasting(hours: int) -> Callable[[Request], Answer]:
        return lambda request: granted(request, Expiration=f"2036-11-25T{12 + hours}:00:00Z")

    with fake_server(lasting(1), lasting(2)) as server:
        recipe = AssumedRole(ROLE, source=OIDCTokenFile(path), sts=BotocoreSTS(endpoint_url=server.url))
        cached = Cached(recipe, clock=clock)
        cached.fetch()
        write(path, signed(number=2))
        clock.advance(timedelta(minutes=50))
        held = cached.fetch()
        path.unlink()
        clock.advance(timedelta(minutes=50))
        assert cached.fetch() is held
    sent = [jwt.decode(request.form["WebIdentityToken"], KEY, ["HS256"])["number"] for request in server.requests]
    assert sent == [1, 2]
    with pytest.raises(SourceMissing):
        recipe.fetch()


@pytest.mark.case("J13")
def test_a_token_is_shown_nowhere(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A token appears in no repr, no error and no log record."""
    caplog.set_level(logging.DEBUG)
    write(path, TOKEN)
    source = OIDCTokenFile(path)
    with fake_server(granted) as server:
        assume(ROLE, source=source, sts=BotocoreSTS(endpoint_url=server.url))
    assert TOKEN not in repr(source) + repr(source.fetch()) + caplog.text
    assert not any(part in repr(source.fetch()) for part in TOKEN.split("."))


# From the environment ---------------------------------------------------------------------------------------------


def test_the_environment_names_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """from_env uses the variables of this process, or of a given mapping."""
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(path))
    assert OIDCTokenFile.from_env() == OIDCTokenFile(path)
    assert OIDCTokenFile.from_env({"AWS_WEB_IDENTITY_TOKEN_FILE": "other"}) == OIDCTokenFile("other")


@pytest.mark.parametrize("environ", [{}, {"AWS_WEB_IDENTITY_TOKEN_FILE": ""}])
def test_a_missing_variable_is_named(environ: dict[str, str]) -> None:
    """The error for a missing variable names it."""
    with pytest.raises(SourceMissing, match="AWS_WEB_IDENTITY_TOKEN_FILE is not set"):
        OIDCTokenFile.from_env(environ)


def test_from_env_uses_the_role_of_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AssumedRole.from_env uses the role, and the session name if there is one."""
    environ = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(path)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert AssumedRole.from_env() == AssumedRole.from_env(environ) == AssumedRole(ROLE, source=OIDCTokenFile(path))
    sts = BotocoreSTS("eu-central-1")
    named = AssumedRole.from_env({**environ, "AWS_ROLE_SESSION_NAME": "job-7"}, sts=sts)
    assert (named.role.session_name, named.sts) == ("job-7", sts)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"AWS_ROLE_ARN": ""}, SourceMissing, "AWS_ROLE_ARN is not set"),
        ({"AWS_ROLE_ARN": "R"}, RoleError, "'R' is not a valid role ARN"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": ""}, SourceMissing, "AWS_WEB_IDENTITY_TOKEN_FILE is not set"),
        ({"AWS_ROLE_SESSION_NAME": "a b"}, RoleError, "session_name 'a b' has characters"),
    ],
)
def test_a_missing_role_variable_is_named(changes: dict[str, str], kind: type[Exception], message: str) -> None:
    """The error for a missing or invalid role names the variable, and nothing is sent."""
    with pytest.raises(kind, match=message):
        AssumedRole.from_env({"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": "t", **changes})


def test_seaweedfs_accepts_the_token_of_the_environment(aws: LocalAWS, sts: BotocoreSTS, path: Path) -> None:
    """SeaweedFS accepts the role and the token of the environment."""
    environ = {
        "AWS_ROLE_ARN": aws.web_alice_role,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(path),
        "AWS_ROLE_SESSION_NAME": "job",
    }
    write(path, aws.idp.oidc_token())
    assert AssumedRole.from_env(environ, sts=sts).fetch().session_token
    write(path, aws.idp.oidc_token(subject="bob"))
    with pytest.raises(STSError):
        AssumedRole.from_env(environ, sts=sts).fetch()


@pytest.mark.parametrize(
    "xml", ['<?xml version="1.0"?><a/>', "<samlp:Response xmlns:samlp='urn:x'/>", "<Response ID='a'>"]
)
def test_a_saml_response_in_a_token_file_is_refused(tmp_path: Path, xml: str) -> None:
    """A SAML response in a token file is refused. Other base64 can be a token."""
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(b64encode(xml.encode()).decode())
    with pytest.raises(
        ProofInvalid, match=r"contains a SAML response, not an OIDC token\. Use SAMLFile\(path\) for it"
    ):
        OIDCTokenFile(tmp_path / "token").fetch()
    for opaque in ("PHoVQ2xv", "opaque.token", b64encode(b"no xml here").decode()):
        (tmp_path / "token").write_text(opaque)
        with pytest.warns(StskitWarning, match="not a JSON Web Token"):
            assert OIDCTokenFile(tmp_path / "token").fetch().value == opaque
