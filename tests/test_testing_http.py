"""`FakeSTS` over HTTP, as botocore, boto3 and the AWS CLI see it, and as stskit does: the same as in process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as Keys
from botocore.exceptions import ClientError
from helpers import reachable_text

from stskit import AssumedRole, Credentials, Role, SAMLAssertion, WebIdentityToken
from stskit.errors import STSError, StskitError, STSUnavailable
from stskit.proofs import Proof
from stskit.sinks import Boto3Session
from stskit.sources import Static
from stskit.sts import BotocoreSTS
from stskit.testing import (
    ClockOff,
    Drop,
    FakeSTS,
    Fault,
    Garbage,
    GiveExpired,
    Hang,
    Incomplete,
    ManualClock,
    Refuse,
    Throttle,
    Trust,
)

ROLE = "arn:aws:iam::123456789012:role/Deploy"
NAMED: dict[str, Any] = {"RoleArn": ROLE, "RoleSessionName": "me"}
SERIAL = "arn:aws:iam::123456789012:mfa/developer"


@pytest.fixture
def sts() -> FakeSTS:
    return FakeSTS()


@pytest.fixture
def url(sts: FakeSTS) -> Iterator[str]:
    with sts.serve() as url:
        yield url


def client(url: str, keys: Credentials, **options: Any) -> Any:
    """Return a boto3 client without checks and retries."""
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, **options)
    return boto3.client(
        "sts",
        region_name="eu-central-1",
        endpoint_url=url,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
        config=config,
    )


def refused(call: Any, **parameters: Any) -> tuple[str, int, str]:
    """Return code, status and message of an error."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer: Any = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


# As others see it -------------------------------------------------------------------------------------------------


def test_boto3_can_make_every_call(sts: FakeSTS, url: str) -> None:
    """boto3 can call each operation of the fake, and gets the documented response."""
    user = sts.user()
    there = client(url, user)
    given = there.assume_role(**NAMED, Tags=[{"Key": "a", "Value": "b c"}], SourceIdentity="alice")
    assert given["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert timedelta(minutes=59) < given["Credentials"]["Expiration"] - datetime.now(UTC) <= timedelta(hours=1)
    assert given["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/Deploy/me"
    assert (given["SourceIdentity"], given["PackedPolicySize"]) == ("alice", 1)
    assert given["ResponseMetadata"]["RequestId"] == given["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert sts.calls[-1].parameters["Tags"] == [{"Key": "a", "Value": "b c"}]
    session = client(url, Credentials.from_dict(given))
    assert session.get_caller_identity()["Arn"] == given["AssumedRoleUser"]["Arn"]
    saml = there.assume_role_with_saml(
        RoleArn=ROLE, PrincipalArn=sts.idp.provider_arn(ROLE), SAMLAssertion=sts.idp.saml_response(roles=[ROLE])
    )
    assert (saml["Subject"], saml["SubjectType"]) == ("alice", "persistent")
    assert saml["NameQualifier"]
    web = there.assume_role_with_web_identity(**NAMED, WebIdentityToken=sts.idp.oidc_token())
    assert (web["SubjectFromWebIdentityToken"], web["Provider"]) == ("alice", "https://idp.example.com")
    assert there.get_session_token(DurationSeconds=900)["Credentials"]["SessionToken"]


def test_the_aws_cli_can_call_it(sts: FakeSTS, url: str) -> None:
    """The AWS CLI can call the fake."""
    keys = sts.user()
    program = Path(sys.executable).parent / "aws"
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_DEFAULT_REGION": "eu-central-1",
    }

    def aws(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(program), "sts", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    given = aws("assume-role", "--role-arn", ROLE, "--role-session-name", "me", "--output", "json")
    assert json.loads(given.stdout)["AssumedRoleUser"]["Arn"].endswith("assumed-role/Deploy/me")
    sts.roles[ROLE] = None
    denied = aws("assume-role", "--role-arn", ROLE, "--role-session-name", "me")
    assert denied.returncode != 0
    assert (
        "(AccessDenied) when calling the AssumeRole operation: User: arn:aws:iam::123456789012:user/developer is"
        in (denied.stderr)
    )


def test_a_refreshing_session_works_over_http(sts: FakeSTS, url: str) -> None:
    """A refreshing session works with the fake over HTTP."""
    recipe = AssumedRole(ROLE, source=Static(sts.user()), sts=BotocoreSTS(endpoint_url=url))
    session = recipe.to(Boto3Session("eu-central-1"))
    who = session.client("sts", endpoint_url=url).get_caller_identity()
    assert who["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/Deploy/")
    assert [call.operation for call in sts.calls] == ["AssumeRole", "GetCallerIdentity"]


def test_a_moved_clock_does_not_affect_signatures() -> None:
    """A clock that was moved does not affect signatures, and does affect the expiration of sessions."""
    clock = ManualClock()
    sts = FakeSTS(clock=clock)
    user = sts.user()
    with sts.serve() as url:
        given = Credentials.from_dict(client(url, user).assume_role(**NAMED))
        clock.advance(timedelta(hours=2))
        assert client(url, user).assume_role(**NAMED)
        assert refused(client(url, given).get_caller_identity)[:2] == ("ExpiredToken", 403)


# What it refuses --------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[str, dict[str, Any], str, int, str]] = {
    "short name": ("assume_role", {"RoleSessionName": "x"}, "ValidationError", 400,
        "1 validation error detected: Value 'x' at 'roleSessionName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 2"),
    "long name": ("assume_role", {"RoleSessionName": "x" * 65}, "ValidationError", 400, "less than or equal to 64"),
    "letters": ("assume_role", {"RoleSessionName": "\u00e9 x"}, "ValidationError", 400,
        r"Member must satisfy regular expression pattern: [\w+=,.@-]*"),
    "no name": ("assume_role", {"RoleSessionName": None}, "ValidationError", 400,
        "Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null"),
    "two": ("assume_role", {"RoleArn": "x", "RoleSessionName": "x"}, "ValidationError", 400,
        "2 validation errors detected: "),
    "no arn": ("assume_role", {"RoleArn": "arn:aws:iam::1234567890:role/x"}, "ValidationError", 400,
        "arn:aws:iam::1234567890:role/x is invalid"),
    "duration": ("assume_role", {"DurationSeconds": 899}, "ValidationError", 400,
        "Value '899' at 'durationSeconds' failed to satisfy constraint: "
        "Member must have value greater than or equal to 900"),
    "no number": ("assume_role", {"DurationSeconds": "soon"}, "MalformedInput", 400, "must be an integer"),
    "tags": ("assume_role", {"Tags": [{"Key": "k" * 129, "Value": "v"}]}, "ValidationError", 400,
        "at 'tags.1.member.key' failed"),
    "too many tags": ("assume_role", {"Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(51)]}, "ValidationError",
        400, "at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"),
    "too many policies": ("assume_role", {"PolicyArns": [{"arn": f"arn:aws:iam::aws:policy/P{n}"} for n in range(11)]},
        "ValidationError", 400, "at 'policyArns' failed to satisfy constraint: Member must have length less than"),
    "tag in two cases": ("assume_role", {"Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]},
        "InvalidParameterValue", 400, "Duplicate tag keys found"),
    "transitive": ("assume_role", {"TransitiveTagKeys": ["a"]}, "InvalidParameterValue", 400, "must be included"),
    "code without serial": ("assume_role", {"TokenCode": "123456"}, "AccessDenied", 403, "must provide both"),
    "serial without code": ("assume_role", {"SerialNumber": SERIAL}, "AccessDenied", 403, "must provide both"),
    "secret": ("assume_role_with_web_identity", {"WebIdentityToken": "x"}, "ValidationError", 400,
        "Value at 'webIdentityToken' failed to satisfy constraint"),
    "large assertion": ("assume_role_with_saml", {"SAMLAssertion": "x" * 100_001, "PrincipalArn": SERIAL},
        "ValidationError", 400, "Value at 'sAMLAssertion' failed to satisfy constraint: Member must have length less"),
    "other operation": ("get_access_key_info", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "InvalidAction", 400,
        "Could not find operation GetAccessKeyInfo for version 2011-06-15"),
}  # fmt: skip


@pytest.mark.case("P22")
@pytest.mark.parametrize("name", REFUSED)
def test_values_outside_the_model_are_refused(sts: FakeSTS, url: str, name: str) -> None:
    """The fake refuses values outside the limits of botocore's model."""
    method, change, code, status, says = REFUSED[name]
    usual = {} if method == "get_access_key_info" else NAMED
    usual = {"RoleArn": ROLE} if method == "assume_role_with_saml" else usual
    parameters = {key: value for key, value in {**usual, **change}.items() if value is not None}
    found = refused(getattr(client(url, sts.user()), method), **parameters)
    assert found[:2] == (code, status)
    assert says in found[2]
    assert sts.calls[-1].code == code


def test_an_mfa_code_works_once(sts: FakeSTS, url: str) -> None:
    """An MFA code works once for all callers."""
    there = client(url, sts.user())
    code = {"SerialNumber": SERIAL, "TokenCode": "123456"}
    sts.roles[ROLE] = Trust(mfa=True)
    assert there.assume_role(**NAMED, **code)
    found = refused(there.get_session_token, **code)
    assert found == ("AccessDenied", 403, "MultiFactorAuthentication failed with invalid MFA one time pass code.")


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"access_key_id": "AKIAUNKNOWNUNKNOWN12"}, "InvalidClientTokenId", "security token included in the request"),
        ({"secret_access_key": "wrong"}, "SignatureDoesNotMatch", "The request signature we calculated does not match"),
        ({"session_token": "wrong"}, "InvalidClientTokenId", "is invalid"),
        ({"session_token": None}, "InvalidClientTokenId", "is invalid"),
    ],
)
def test_wrong_keys_are_refused_over_http(
    sts: FakeSTS, url: str, change: Mapping[str, Any], code: str, says: str
) -> None:
    """Wrong keys are refused over HTTP as in process."""
    given = Credentials.from_dict(client(url, sts.user()).assume_role(**NAMED))
    keys = Credentials(**{
        "access_key_id": given.access_key_id,
        "secret_access_key": given.secret_access_key,
        "session_token": given.session_token,
        **change,
    })  # fmt: skip
    found = refused(client(url, keys).get_caller_identity)
    assert found[:2] == (code, 403)
    assert says in found[2]


def signed(url: str, keys: Credentials, body: str, service: str = "sts") -> dict[str, str]:
    """Return the headers of a request that botocore signs."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Two": "a   b"}
    request = AWSRequest("POST", f"{url}/", data=body, headers=headers)
    token = keys.session_token
    SigV4Auth(Keys(keys.access_key_id, keys.secret_access_key, token), service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


def posted(url: str, headers: Mapping[str, str], body: str, path: str = "/") -> tuple[int, str]:
    """Return the status and the body of the response to a manual request."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


WHO = "Action=GetCallerIdentity&Version=2011-06-15"


def test_any_change_makes_a_signature_invalid(sts: FakeSTS, url: str) -> None:
    """A change of path, headers, body, day or service makes a signature invalid."""
    keys = sts.user()
    good = signed(url, keys, WHO)
    assert posted(url, good, WHO)[0] == 200
    assert posted(url, {**good, "X-Two": "a b"}, WHO)[0] == 200
    for headers, body, path in (
        (good, f"{WHO}&x=1", "/"),
        (good, WHO, "/x"),
        (good, WHO, "/a/.."),
        (good, WHO, "["),
        ({**good, "Authorization": good["Authorization"].replace("content-type;host", "host;content-type")}, WHO, "/"),
        ({**good, "X-Two": "b"}, WHO, "/"),
        (signed(url, keys, WHO, service="s3"), WHO, "/"),
    ):
        status, text = posted(url, headers, body, path)
        assert (status, "SignatureDoesNotMatch" in text) == (403, True)
    for headers in ({**good, "Authorization": "Basic abc"}, {**good, "X-Amz-Date": "yesterday"}):
        status, text = posted(url, headers, WHO)
        assert (status, "<Code>IncompleteSignature</Code>" in text) == (400, True)
    status, text = posted(url, {}, WHO)
    assert (status, "<Code>MissingAuthenticationToken</Code>" in text) == (403, True)


def test_an_unsigned_session_token_is_refused(sts: FakeSTS, url: str) -> None:
    """A request with a session token that was not signed is refused."""
    session = sts.session_token(sts.user())
    bare = Credentials(session.access_key_id, session.secret_access_key)
    headers = {**signed(url, bare, WHO), "X-Amz-Security-Token": str(session.session_token)}
    status, text = posted(url, headers, WHO)
    assert (status, "must be a 'SignedHeader'" in text.replace("&apos;", "'")) == (403, True)


def test_an_invalid_request_is_refused(sts: FakeSTS, url: str) -> None:
    """A request without a length, too long, without an operation or with another method is refused."""
    assert posted(url, {"Content-Length": "x"}, "")[0] == 411
    assert posted(url, {"Content-Length": "1000001"}, "")[0] == 413
    status, text = posted(url, {}, "canary")
    assert (status, "<Code>InvalidAction</Code>" in text) == (400, True)
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 501
    connection.close()
    body = f"Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=me&Tags.member.1=x&Tags.member.0.Key=a&Tags.other=b"
    status, text = posted(url, signed(url, sts.user(), body), body)
    assert (status, "at 'tags.1.member.key'" in text) == (400, True)


def test_a_role_that_the_assertion_does_not_offer_is_refused(sts: FakeSTS, url: str) -> None:
    """The fake refuses a role that the assertion does not offer."""
    other, provider = f"{ROLE}X", sts.idp.provider_arn(ROLE)
    assertion = sts.idp.saml_response(roles=[ROLE])
    there = client(url, sts.user())
    found = refused(there.assume_role_with_saml, RoleArn=other, PrincipalArn=provider, SAMLAssertion=assertion)
    assert found == ("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithSAML")


# Faults, on both faces --------------------------------------------------------------------------------------------


def outcome(sts: FakeSTS | BotocoreSTS, proof: Proof, role: Role) -> dict[str, Any]:
    """Return the attributes of an error that must be equal in process and over HTTP."""
    with pytest.raises(StskitError) as caught:
        sts.exchange(proof, role)
    error = caught.value
    shown = {name: getattr(error, name, None) for name in ("code", "http_status", "kind", "retryable", "remedy")}
    place = getattr(error, "endpoint", None)
    return {"class": type(error), "text": str(error).replace(f" at {place}", ""), **shown}


FAULTS: list[Fault] = [
    Throttle(),
    Refuse("RegionDisabledException", "STS is not activated in this region", 403),
    Refuse("InternalFailure", status=500),
    Refuse("IDPCommunicationError", "No answer"),
    GiveExpired(),
    Incomplete(),
    Incomplete("Expiration"),
    Incomplete("Credentials"),
    Hang(),
    Drop(),
    Garbage(),
    Garbage(status=500),
    ClockOff(timedelta(minutes=20)),
    ClockOff(timedelta(minutes=-20)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_a_fault_is_the_same_error_in_process(sts: FakeSTS, url: str, fault: Fault) -> None:
    """A fault raises the same error in process as `BotocoreSTS` does over HTTP."""
    there = BotocoreSTS(endpoint_url=url, read_timeout=0.1)
    user, role = sts.user(), Role(ROLE)
    sts.always(fault)
    here, far = outcome(sts, user, role), outcome(there, user, role)
    if isinstance(fault, ClockOff):  # the text tells the seconds, which go on
        del here["text"], far["text"]
    assert here == far


REFUSALS: dict[str, Any] = {
    "unknown key": lambda sts: (Credentials("AKIAUNKNOWNUNKNOWN12", "secret"), Role(ROLE)),
    "wrong secret": lambda sts: (Credentials(sts.user().access_key_id, "secret"), Role(ROLE)),
    "long": lambda sts: (sts.user(), Role(ROLE, duration=43_200, policy={"Statement": []})),
    "policy": lambda sts: (sts.user(), Role(ROLE, policy="no json")),
    "untrusted": lambda sts: (sts.user("bob"), Role(ROLE)),
    "token": lambda sts: (WebIdentityToken(sts.idp.oidc_token(flaw="wrong audience")), Role(ROLE)),
    "assertion": lambda sts: (SAMLAssertion(sts.idp.saml_response(roles=[ROLE], flaw="expired")), Role(ROLE)),
    "signature": lambda sts: (SAMLAssertion(sts.idp.saml_response(roles=[ROLE], flaw="tampered")), Role(ROLE)),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_an_error_of_sts_is_the_same_in_process(sts: FakeSTS, url: str, name: str) -> None:
    """An error of STS is the same in process and over HTTP."""
    sts.roles[ROLE] = Trust("*:user/developer", max_duration=timedelta(hours=1))
    if name in ("token", "assertion", "signature"):
        sts.roles[ROLE] = Trust()
    proof, role = REFUSALS[name](sts)
    assert outcome(sts, proof, role) == outcome(BotocoreSTS(endpoint_url=url), proof, role)


def test_botocore_retries_after_a_temporary_fault(sts: FakeSTS, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore retries after a fault that passes. Each attempt is a call to the fake."""
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    sts.next(Throttle(), Drop())
    assert BotocoreSTS(endpoint_url=url).exchange(sts.user(), Role(ROLE))
    assert [call.fault for call in sts.calls] == [Throttle(), Drop(), None]
    sts.always(Throttle())
    with pytest.raises(STSError) as caught:
        BotocoreSTS(endpoint_url=url).exchange(sts.user(), Role(ROLE))
    assert (caught.value.attempts, sts.count()) == (3, 6)


def test_no_error_contains_a_secret_of_the_call(sts: FakeSTS, url: str) -> None:
    """No error contains a secret of the call."""
    session = sts.exchange(sts.user(), Role(ROLE))
    sts.always(Refuse("AccessDenied", f"You sent {session.session_token}"))
    for there in (sts, BotocoreSTS(endpoint_url=url)):
        with pytest.raises(STSError) as caught:
            there.exchange(session, Role(ROLE))
        assert str(session.session_token)[:40] not in reachable_text(caught.value)


# Coming and going -------------------------------------------------------------------------------------------------


def test_many_callers_get_their_own_sessions(sts: FakeSTS, url: str) -> None:
    """Many callers at once get their own sessions."""
    there, user = BotocoreSTS(endpoint_url=url), sts.user()
    roles = [Role(ROLE, session_name=f"caller-{number}") for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda role: there.exchange(user, role), roles))
    assert [each.assumed_role_arn for each in given] == [
        f"arn:aws:sts::123456789012:assumed-role/Deploy/{role.session_name}" for role in roles
    ]
    assert len({each.access_key_id for each in given}) == 24


def test_a_closed_server_leaves_nothing(sts: FakeSTS) -> None:
    """After a server was closed, no thread, no port and no waiting request remains."""
    before = set(threading.enumerate())
    waiting: list[Exception] = []
    with sts.serve() as url:
        host, port = url.removeprefix("http://").split(":")
        idle = socket.create_connection((host, int(port)))
        sts.next(Hang())

        def wait() -> None:
            with pytest.raises(STSUnavailable) as caught:
                BotocoreSTS(endpoint_url=url, read_timeout=60).exchange(sts.user(), Role(ROLE))
            waiting.append(caught.value)

        thread = threading.Thread(target=wait)
        thread.start()
        while not sts.calls:
            time.sleep(0.001)
    idle.close()
    thread.join(30)
    assert len(waiting) == 1
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_a_caller_that_disconnects_causes_no_message(sts: FakeSTS) -> None:
    """If a caller disconnects, the server continues without a message."""
    with sts.serve() as url:
        host, port = url.removeprefix("http://").split(":")
        for data in (b"POST / HTTP/1.1\r\nContent-Le", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nAct"):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(data)
        sts.next(Hang())
        body = WHO.encode()
        request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(request)
            while not sts.calls:
                time.sleep(0.001)


def test_two_servers_of_one_fake_share_its_state(sts: FakeSTS, url: str) -> None:
    """Two servers of one fake share its state, and it can be served again."""
    with sts.serve() as other:
        assert other != url
        given = BotocoreSTS(endpoint_url=url).exchange(sts.user(), Role(ROLE))
        assert BotocoreSTS(endpoint_url=other).caller_identity(given).arn == given.assumed_role_arn
    with sts.serve() as again:
        assert BotocoreSTS(endpoint_url=again).caller_identity(given)


class BrokenClock(ManualClock):
    """A clock that raises."""

    def now(self) -> Any:
        raise ZeroDivisionError


def test_an_error_in_the_server_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """The traceback of an error in the server is on standard error."""
    sts = FakeSTS()
    broken = FakeSTS(clock=BrokenClock(), idp=sts.idp)
    with broken.serve() as url, pytest.raises(StskitError):
        BotocoreSTS(endpoint_url=url, read_timeout=1).exchange(broken.user(), Role(ROLE))
    assert "ZeroDivisionError" in capfd.readouterr().err
