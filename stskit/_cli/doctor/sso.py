"""What `stskit doctor` says about a sign-in by SSO: whether its token is there, and how long it counts."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from stskit._cli.doctor.findings import Finding
from stskit._cli.formatting import iso, until
from stskit._io import atomic
from stskit._time import instant

__all__ = ["of_session"]

_MAX_BYTES: Final = 1_000_000


def of_session(profile: str, session: str, now: datetime, *, can_renew: bool) -> Finding:
    """About the token that `aws sso login` keeps for *session*, a name or the URL that it starts at.

    *can_renew*: whether botocore asks for a new one by itself, as it does for sessions that have a name.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html
    """
    from shlex import quote

    about, remedy = f"profile {profile}", f"run: aws sso login --profile {quote(profile)}"
    token = _token(session)
    end = _moment(token.get("expiresAt"))
    if end is None:
        return Finding(about, "wrong", f"Nobody is signed in to SSO for the profile {profile!r}", remedy)
    facts = {"expires": iso(end)}
    if end > now:
        return Finding(about, "ok", f"The SSO session of {profile!r} counts until {until(end, now)}", facts=facts)
    registered = _moment(token.get("registrationExpiresAt"))
    if can_renew and token.get("refreshToken") and registered is not None and registered > now:
        text = f"The SSO session of {profile!r} ended at {until(end, now)}, and will be renewed without a person"
        return Finding(about, "note", text, facts=facts)
    return Finding(about, "wrong", f"The SSO session of {profile!r} ended at {until(end, now)}", remedy, facts)


def _token(session: str) -> dict[str, Any]:
    from hashlib import sha1

    name = sha1(session.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()  # as botocore does
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(atomic.read(os.path.expanduser(f"~/.aws/sso/cache/{name}.json"), _MAX_BYTES))
        return found if isinstance(found, dict) else {}
    return {}


def _moment(value: object) -> datetime | None:
    with suppress(ValueError):  # older versions of the AWS CLI wrote UTC for the zone
        return instant(str(value).replace("UTC", "Z"))
    return None
