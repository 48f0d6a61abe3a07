"""What `stskit doctor` says about the credentials that a profile or the environment would give, without getting them.

The order is botocore's: the key variables, a role that the profile assumes, the token variables, whatever else the
profile has, the container, the instance.
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/credentials.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from stskit._cli.doctor.files import SharedFile
from stskit._cli.doctor.findings import Finding
from stskit._cli.doctor.profile import NOTHING, Profiles, Step, steps_of, unused
from stskit._cli.doctor.proofs import of_keys, of_token_file
from stskit._cli.formatting import listed
from stskit._time import instant
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid
from stskit.protocols import Clock

__all__ = ["is_missing", "of_credentials"]

_AMBIENT: Final = "ambient credentials"
_KEY, _SECRET, _TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_EXPIRY: Final = "AWS_CREDENTIAL_EXPIRATION"
_TOKEN_FILE, _ROLE = "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"
_CONTAINER: Final = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_PROFILE: Final = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")  # in botocore's order
_NO_INSTANCE: Final = "AWS_EC2_METADATA_DISABLED"


def of_credentials(profile: str | None, credentials: SharedFile, config: SharedFile, clock: Clock) -> Iterator[Finding]:
    """About those of *profile*; None: the ambient ones."""
    about = _AMBIENT if profile is None else f"profile {profile}"
    if credentials.fault or config.fault:
        text = "Which credentials would be used cannot be told before the files of profiles are in order"
        yield Finding(about, "note", text, "see what is said about them below")
        return
    from botocore.session import Session

    session = Session(profile=profile)
    ambient = next((os.environ[each] for each in _PROFILE if each in os.environ), None)
    files = Profiles(session.full_config, credentials.sections, ambient or "default", clock.now())
    yield from _of_variables(profile)
    name = ambient if profile is None else profile
    if name == "":
        text = "AWS_PROFILE or AWS_DEFAULT_PROFILE is set and empty, which botocore takes for a profile without name"
        yield Finding(about, "wrong", text, "unset the variable")
    elif name is not None and name not in files.names:
        named = "" if profile else f", which {_set(*_PROFILE)[0]} names"
        remedy = f"correct the name; those there are: {listed(files.names) or 'none'}"
        yield Finding(about, "wrong", f"There is no profile {name!r}{named}", remedy)
    elif profile is None and os.environ.get(_KEY):
        yield from _of_key_variables(clock)
    else:
        yield from _of_steps(about, profile, steps_of(name or "default", files), clock)


def is_missing(profile: str) -> bool:
    """Whether neither file has *profile*; both have to be in order."""
    from botocore.session import Session

    return profile not in Session().available_profiles


def _of_variables(profile: str | None) -> Iterator[Finding]:
    """What does nothing, or not for everybody, whatever gives the credentials."""
    names = _set(*_PROFILE)
    if profile is None and len({os.environ[name] for name in names}) > 1:
        text = (
            "AWS_PROFILE and AWS_DEFAULT_PROFILE differ: stskit and boto3 take the second, the SDKs of other languages "
            "the first"
        )
        yield Finding(_AMBIENT, "note", text, "unset AWS_DEFAULT_PROFILE")
    if ignored := _set(_KEY, _SECRET, _ROLE) if profile is not None else ():
        text = f"{listed(ignored)} {_is(ignored)} set, and will not be used, since a profile is named"
        yield Finding(f"profile {profile}", "note", text)
    if profile is None and _set(_ROLE) and not _set(_TOKEN_FILE):
        text = f"{_ROLE} is set and {_TOKEN_FILE} is not, and so it does nothing"
        yield Finding(_AMBIENT, "note", text, "set both, or unset both")
    if profile is None and _set(_SECRET) and not _set(_KEY):
        yield Finding(_AMBIENT, "note", f"{_SECRET} is set and {_KEY} is not, and so it does nothing", "set both")


def _of_key_variables(clock: Clock) -> Iterator[Finding]:
    if not os.environ.get(_SECRET):
        text = f"{_KEY} is set and {_SECRET} is not, and so no credentials are found anywhere"
        yield Finding(_AMBIENT, "wrong", text, "set both, or unset both")
        return
    token = next((os.environ[each] for each in _TOKEN if os.environ.get(each)), None)
    expiry = os.environ.get(_EXPIRY)
    start = f"The ambient credentials are those in {_KEY}:"
    try:
        keys = Credentials(os.environ[_KEY], os.environ[_SECRET], token, instant(expiry) if expiry else None)
        yield of_keys(_AMBIENT, start, keys, clock.now())
    except (ValueError, ProofInvalid):
        text = f"{_EXPIRY} is not a date, a time and a zone"
        yield Finding(_AMBIENT, "wrong", text, "write it as 2026-01-31T12:00:00Z, or unset it")
    yield from _hidden(_KEY, *_PROFILE, _TOKEN_FILE, *_CONTAINER)


def _of_steps(about: str, profile: str | None, steps: list[Step], clock: Clock) -> Iterator[Finding]:
    """What the profile gives, or else what is asked after it."""
    first = steps[0]
    if profile is None and _set(_TOKEN_FILE) and first.kind != "role":
        yield from _of_token_variables(first, clock)
    elif first.kind == NOTHING:
        yield from _of_places(about, profile)
    else:
        yield from _of_profile(about, profile, steps, clock)


def _of_profile(about: str, profile: str | None, steps: list[Step], clock: Clock) -> Iterator[Finding]:
    faults = [fault for step in steps for fault in step.faults]
    is_sound = all(fault.state != "wrong" for fault in faults)
    who = "" if profile is not None else f"ambient credentials are those of the profile {steps[0].profile!r}: the "
    told = "; the ".join(f"profile {step.profile!r} {step.phrase}" for step in steps)
    facts = {"profiles": " ".join(step.profile for step in steps)}
    yield Finding(about, "ok" if is_sound else "note", f"The {who}{told}", facts=facts)
    yield from faults
    for step in steps:
        if step.token_file is not None:
            yield from of_token_file(step.token_file, clock)
    yield from unused(steps)
    if profile is None:
        yield from _hidden(f"the profile {steps[0].profile!r}", *_CONTAINER, _TOKEN_FILE)


def _of_token_variables(first: Step, clock: Clock) -> Iterator[Finding]:
    role = os.environ.get(_ROLE) or None
    if role is None and first.kind != "token":
        text = f"{_TOKEN_FILE} is set and {_ROLE} is not, and so no credentials are found anywhere"
        yield Finding(_AMBIENT, "wrong", text, "set both, or unset both")
    else:
        text = f"The ambient credentials are those of {role or 'a role'}, for the token that {_TOKEN_FILE} names"
        yield Finding(_AMBIENT, "ok", text)
        yield from _hidden(_TOKEN_FILE, *_PROFILE, *_CONTAINER)
    yield from of_token_file(os.environ[_TOKEN_FILE], clock)


def _of_places(about: str, profile: str | None) -> Iterator[Finding]:
    who = "No variable and no profile names" if profile is None else f"The profile {profile!r} does not name"
    if variables := _set(*_CONTAINER):
        text = f"{who} credentials, so those of the container are used, by {variables[0]}, and are not asked for here"
        yield Finding(about, "ok", text)
    elif os.environ.get(_NO_INSTANCE, "").lower() == "true":
        text = f"{who} credentials, and {_NO_INSTANCE} says not to ask the EC2 instance for them"
        yield Finding(about, "wrong", text, "name a source, or run: aws configure")
    else:
        text = f"{who} credentials, so those of the EC2 instance are used, if this is one"
        yield Finding(about, "note", text, "unless this is one, name a source, or run: aws configure")


def _hidden(winner: str, *variables: str) -> Iterator[Finding]:
    if hidden := [name for name in _set(*variables) if name != winner]:
        text = f"{listed(hidden)} {_is(hidden)} set too, and will not be used for credentials: {winner} comes first"
        yield Finding(_AMBIENT, "note", text, "unset what is not meant")


def _set(*variables: str) -> list[str]:
    return [name for name in variables if os.environ.get(name)]


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
