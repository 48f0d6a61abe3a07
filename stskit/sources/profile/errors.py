"""What botocore raises when a profile gives no credentials, as errors of this package with the next step."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

from stskit.errors import ProofInvalid, SignInRequired, SourceError, SourceMissing
from stskit.sts.refusals import Call, explained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.session import Session

__all__ = ["fault", "line_of", "missing"]

# botocore's exception, or one that it derives from: what is wrong, and what to do. Nothing of its text is repeated.
_REMEDIES: Final = {
    "NoRegionError": "it assumes a role and names no region; add one to it, or set AWS_DEFAULT_REGION",
    "MissingDependencyException": "it uses `aws login`, and for that botocore needs: pip install 'botocore[crt]'",
    "LoginInsufficientPermissions": "its user may not renew a sign-in; allow signin:CreateOAuth2Token",
    "ParamValidationError": "STS does not take one of its values; check role_arn, role_session_name and external_id",
    "ConnectionError": "a server that it needs cannot be reached; check the network, the proxy and the endpoint",
    "HTTPClientError": "a server that it needs does not answer; check the network, the proxy and the endpoint",
    "ResponseParserError": "a server that it needs gave no answer that can be read; check the endpoint",
    "OSError": "a file that it names cannot be read; check its web_identity_token_file",
    "RecursionError": "too many source profiles follow each other; shorten the chain",
    "RuntimeError": "what it gives has expired already; check the clock, and where its credentials come from",
    "InvalidConfigError": "its settings do not fit together; check its role_arn, source_profile, credential_source, "
    "sso_session and what that session says",
}
# By the command that a person can run.
_SIGN_IN: Final = {
    "SSOTokenLoadError": "sso login",
    "TokenRetrievalError": "sso login",
    "UnauthorizedSSOTokenError": "sso login",
    "LoginError": "login",
    "LoginRefreshRequired": "login",
    "LoginTokenLoadError": "login",
}
_CODE: Final = re.compile(r"[A-Za-z.]{1,64}")


def fault(error: Exception, session: Session, where: str) -> SourceError:
    """The error to raise in place of botocore's *error*, which may hold secrets; *where* names the profile."""
    name = type(error).__name__
    facts: Mapping[str, Any] = getattr(error, "kwargs", {})
    if name == "ProfileNotFound":
        names = session.available_profiles
        known = f"{', '.join(names[:10])}{', ...' if names[10:] else ''}" if names else "none"
        remedy = f"correct the name, or AWS_PROFILE; the profiles are: {known}"
        return missing(session, f"{where}: there is no profile {facts['profile']!r}", remedy)
    if name in _SIGN_IN:
        option = _option(_path(session)[-1])
        return SignInRequired(f"{where}: nobody is signed in, or no longer; run: aws {_SIGN_IN[name]}{option} ({name})")
    return ProofInvalid(f"{where}: {_told(error, facts, session)} ({name})")


def missing(session: Session, what: str, remedy: str) -> SourceMissing:
    """The error for *what* that is not in the files of *session*; where no file could be read, that is told instead."""
    paths = [
        os.path.expanduser(os.path.expandvars(session.get_config_variable(variable)))
        for variable in ("config_file", "credentials_file")
    ]
    if any(path.startswith("~") for path in paths):
        remedy = "there is no home folder; set HOME, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"
    elif closed := [path for path in paths if os.path.exists(path) and not os.access(path, os.R_OK)]:
        remedy = f"{closed[0]} cannot be read; correct its owner or mode"
    return SourceMissing(f"{what} in {paths[0]!r} or {paths[1]!r}; {remedy}")


def _told(error: Exception, facts: Mapping[str, Any], session: Session) -> str:
    """What *error* stands for and what to do, in words that hold no secret."""
    names = [each.__name__ for each in type(error).__mro__]
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return _refusal(error, getattr(error, "operation_name", ""))
    match names[0]:
        case "ConfigParseError":
            return f"{facts['path']} cannot be parsed{_line(facts['error'])}; correct it"
        case "PartialCredentialsError":
            return f"it is not complete: {facts['cred_var']} is missing; add it, or remove what needs it"
        case "InfiniteLoopConfigError":
            loop = " -> ".join([*facts["visited_profiles"], facts["source_profile"]])
            return f"its source_profile leads back to itself: {loop}; break the loop"
        case "InvalidConfigError" if (last := _path(session)[-1]) not in session.full_config["profiles"]:
            return f"its source_profile {last!r} does not exist; correct the name, or make that profile"
        case "CredentialRetrievalError" if facts["provider"] == "custom-process":
            return "its credential_process gave no document with a Version of 1; correct it"
        case "CredentialRetrievalError":
            return f"{facts['provider']} gave no credentials; check that it is set up here"
    name = next((name for name in names if name in _REMEDIES), None)
    option = _option(session.get_config_variable("profile"))
    return _REMEDIES[name] if name else f"botocore cannot load it; see why with: aws sts get-caller-identity{option}"


def _refusal(error: Exception, operation: str) -> str:
    refusal = explained(error, Call(operation))
    code, remedy = getattr(refusal, "code", None) or "", getattr(refusal, "remedy", "")
    if not operation.startswith("AssumeRole"):
        remedy = "Check its sso_account_id and sso_role_name, and what its user may use."
    return f"{operation} was refused with {code if _CODE.fullmatch(code) else 'no code'}. {remedy}"


def line_of(error: Any) -> int | None:
    """The number of the line where botocore's parser stopped, None where it says none; never the line itself."""
    return getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", ())), None)


def _line(error: Any) -> str:
    if (number := line_of(error)) is not None:
        return f" at line {number}"
    return ": it is no UTF-8 text" if isinstance(error, UnicodeError) else ": an indented line is no `name = value`"


def _path(session: Session) -> list[str]:
    """The profile, and those that its credentials come from, one after the other."""
    profiles = session.full_config["profiles"]
    path = [session.get_config_variable("profile") or "default"]
    while "role_arn" in (profile := profiles.get(path[-1], {})):
        following = profile.get("source_profile")
        if not isinstance(following, str) or following in path:
            break
        path.append(following)
    return path


def _option(profile: str | None) -> str:
    from shlex import quote

    return "" if profile in (None, "default") else f" --profile {quote(profile)}"
