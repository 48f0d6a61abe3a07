"""One MFA code serves many roles: GetSessionToken as a source."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from fake_server import fake_server, granted

from stskit import MFA, AssumedRole, Cached, Credentials
from stskit.errors import ProofInvalid, RoleError
from stskit.sources import SessionToken, Static
from stskit.sts import BotocoreSTS
from stskit.testing import FakeSTS, Trust

SERIAL = "arn:aws:iam::123456789012:mfa/session"
BASE = Static(Credentials("AKIABASE", "base-secret"))
_codes = count(200_000)


def ask(_serial: str) -> str:
    return f"{next(_codes):06}"


def test_one_code_serves_many_roles() -> None:
    """One MFA code and one session serve several roles."""
    sts = FakeSTS(others=Trust(mfa=True))
    session = Cached(SessionToken(Static(sts.user()), MFA(SERIAL, ask), timedelta(hours=2), sts=sts))
    for name in ("A", "B", "C"):
        AssumedRole(f"arn:aws:iam::123456789012:role/{name}", source=session, sts=sts).fetch()
    first, *others = sts.calls
    assert (first.operation, first.parameters["DurationSeconds"]) == ("GetSessionToken", 7200)
    assert (first.parameters["SerialNumber"], len(str(first.parameters["TokenCode"]))) == (SERIAL, 6)
    assert [call.operation for call in others] == ["AssumeRole"] * 3
    assert all("TokenCode" not in call.parameters for call in others)
    assert {call.access_key_id for call in others} == {session.fetch().access_key_id}


def test_without_mfa_and_duration_neither_is_sent() -> None:
    """Without MFA and duration, neither is sent."""
    with fake_server(granted) as server:
        SessionToken(BASE, sts=BotocoreSTS(endpoint_url=server.url)).fetch()
    assert set(server.requests[0].form) == {"Action", "Version"}


@pytest.mark.parametrize("duration", [899, 129_601, timedelta(hours=37)])
def test_a_duration_outside_its_limits_is_refused(duration: Any) -> None:
    """A duration outside 900 seconds to 36 hours is an error."""
    with pytest.raises(RoleError, match="duration of a session token is .* STS allows 900 to 129,600"):
        SessionToken(BASE, duration=duration)


def test_temporary_credentials_are_refused_before_any_call() -> None:
    """Temporary credentials are refused before any call."""
    source = SessionToken(
        Static(Credentials("ASIA", "secret", "token")), sts=BotocoreSTS(endpoint_url="http://127.0.0.1:9")
    )
    with pytest.raises(ProofInvalid, match="GetSessionToken needs the long-term keys of a user"):
        source.fetch()


def test_moto_accepts_get_session_token(saml_sts: BotocoreSTS) -> None:
    """A fake AWS (moto) accepts GetSessionToken."""
    got = SessionToken(BASE, MFA(SERIAL, ask), 900, sts=saml_sts).fetch()
    assert got.session_token
    assert not got.is_expired()
