"""What botocore raises when a profile gives no credentials, as errors of this package with the next step."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from stskit.errors import ProofInvalid, SignInRequired, SourceError, SourceMissing
from stskit.sts import refusals
from stskit.sts.settings import bad_variable

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["line_of", "not_found", "translate"]

# botocore's exception, or one that it derives from: what is wrong, and what to do. Nothing of its text is repeated.
_REMEDIES: Final = {
    "NoRegionError": ("it assumes a role and names no region", "add one to it, or set AWS_DEFAULT_REGION"),
    "MissingDependencyException": (
        "it uses `aws login`, and botocore needs another package for that",
        "run: pip install 'botocore[crt]'",
    ),
    "LoginInsufficientPermissions": ("its user may not renew a sign-in", "allow signin:CreateOAuth2Token"),
    "ParamValidationError": (
        "STS does not take one of its values",
        "check role_arn, role_session_name and external_id",
    ),
    "ConnectionError": ("a server that it needs cannot be reached", "check the network, the proxy and the endpoint"),
    "HTTPClientError": ("a server that it needs does not answer", "check the network, the proxy and the endpoint"),
    "ResponseParserError": ("a server that it needs gave no answer that can be read", "check the endpoint"),
    "AnswerTooLongError": ("a server that it needs returned too long an answer", "check the endpoint"),
    "TimeoutError": ("a server that it needs does not answer in time", "check the network, the proxy and the endpoint"),
    "gaierror": ("the name of a server that it needs cannot be resolved", "check the network and the endpoint"),
    "OSError": ("a file that it names cannot be read", "check its web_identity_token_file"),
    "RecursionError": ("too many source profiles follow each other", "shorten the chain"),
    "RuntimeError": ("what it gives has expired already", "check the clock, and where its credentials come from"),
    "InvalidConfigError": (
        "its settings do not fit together",
        "check its role_arn, source_profile, credential_source, sso_session and what that session says",
    ),
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
_ENDPOINT_REMEDY: Final = "use an https endpoint: check endpoint_url, AWS_ENDPOINT_URL and HTTP_PROXY"
_CODE: Final = re.compile(r"[A-Za-z.]{1,64}")


def translate(error: Exception, session: Session, where: str, profile: str | None) -> SourceError:
    """Return the error to raise in place of botocore's *error*, which may hold secrets.

    *where*: how the error calls the profile. *profile*: its name; None for the default chain.
    """
    kind = type(error).__name__
    details: Mapping[str, Any] = getattr(error, "kwargs", {})
    if kind == "ProfileNotFound":
        names = session.available_profiles
        known = f"{', '.join(names[:10])}{', ...' if names[10:] else ''}" if names else "none"
        missing = not_found(
            session,
            f"{where}: there is no profile {details['profile']!r}",
            f"correct the name, or AWS_PROFILE; the profiles are: {known}",
        )
        missing.option, missing.variable = ("profile", None) if profile is not None else (None, _profile_variable())
        return missing
    if kind in _SIGN_IN:
        return SignInRequired(
            f"{where}: nobody is signed in, or no longer ({kind})",
            remedy=f"run: aws {_SIGN_IN[kind]}{_profile_option(_path(session)[-1])}",
        )
    if isinstance(getattr(error, "response", None), dict):
        return _refused(error, f"{where}: {getattr(error, 'operation_name', '')} was refused with", kind)
    what, remedy = _describe(error, details, session)
    if (bad := bad_variable()) is not None:
        return ProofInvalid(
            f"{where}: {what} ({kind})",
            remedy=f"correct {bad.variable}={bad.value!r}: it must be {bad.name}",
            variable=bad.variable,
        )
    if profile is None and _is_expiration_wrong(error):
        problem = "has passed" if isinstance(error, RuntimeError) else "is not a valid time"
        return ProofInvalid(
            f"{where}: AWS_CREDENTIAL_EXPIRATION {problem} ({kind})",
            remedy="get new credentials, or correct the variable: 2030-01-01T00:00:00Z is an example",
            variable="AWS_CREDENTIAL_EXPIRATION",
        )
    path = details.get("path") if kind == "ConfigParseError" else None
    return ProofInvalid(f"{where}: {what} ({kind})", remedy=remedy, path=path)


def _is_expiration_wrong(error: Exception) -> bool:
    """Whether *error* is about the time of expiry in the environment, without which no expiry is looked at there."""
    is_used = all(map(os.environ.get, ("AWS_ACCESS_KEY_ID", "AWS_CREDENTIAL_EXPIRATION")))
    return is_used and isinstance(error, RuntimeError | TypeError | ValueError)


def not_found(session: Session, what: str, remedy: str) -> SourceMissing:
    """Return the error for *what* is not in the files of *session*.

    Where one of the files cannot be read, that is the remedy in place of *remedy*.
    """
    paths = [
        os.path.expanduser(os.path.expandvars(session.get_config_variable(variable)))
        for variable in ("config_file", "credentials_file")
    ]
    variable, path = None, None
    if any(each.startswith("~") for each in paths):
        remedy = "there is no home folder; set HOME, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"
        variable = "HOME"
    elif closed := [each for each in paths if os.path.exists(each) and not os.access(each, os.R_OK)]:
        remedy = f"{closed[0]} cannot be read; correct its owner or mode"
        path = closed[0]
    return SourceMissing(f"{what} in {paths[0]!r} or {paths[1]!r}", remedy=remedy, variable=variable, path=path)


def _describe(error: Exception, details: Mapping[str, Any], session: Session) -> tuple[str, str]:
    """Return what *error* stands for and what to do, in words that hold no secret."""
    names = [each.__name__ for each in type(error).__mro__]
    match names[0]:
        case "ConfigParseError":
            return f"{details['path']} cannot be parsed{_line(details['error'])}", "correct it"
        case "PartialCredentialsError":
            return f"it is not complete: {details['cred_var']} is missing", "add it, or remove what needs it"
        case "InfiniteLoopConfigError":
            loop = " -> ".join([*details["visited_profiles"], details["source_profile"]])
            return f"its source_profile leads back to itself: {loop}", "break the loop"
        case "InvalidConfigError" if (last := _path(session)[-1]) not in session.full_config["profiles"]:
            return f"its source_profile {last!r} does not exist", "correct the name, or make that profile"
        case "PlaintextError":
            return f"its request was not sent, because it would travel in clear ({error})", _ENDPOINT_REMEDY
        case "CredentialRetrievalError" if details["provider"] == "custom-process":
            return "its credential_process gave no document with a Version of 1", "correct it"
        case "CredentialRetrievalError":
            return f"{details['provider']} gave no credentials", "check that it is set up here"
    if name := next((name for name in names if name in _REMEDIES), None):
        return _REMEDIES[name]
    option = _profile_option(session.get_config_variable("profile"))
    return "botocore cannot load it", f"see why with: aws sts get-caller-identity{option}"


def _refused(error: Exception, what: str, kind: str) -> ProofInvalid:
    operation = getattr(error, "operation_name", "")
    refusal = refusals.translate(error, refusals.CallDetails(operation))
    code = getattr(refusal, "code", None) or ""
    remedy, cli_remedy = refusal.remedy, refusal.cli_remedy
    if not operation.startswith("AssumeRole"):
        remedy, cli_remedy = "Check its sso_account_id and sso_role_name, and what its user may use.", ""
    return ProofInvalid(
        f"{what} {code if _CODE.fullmatch(code) else 'no code'} ({kind}).", remedy=remedy, cli_remedy=cli_remedy
    )


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


def _profile_variable() -> str | None:
    """Return the variable that names the profile; botocore prefers the first."""
    return next((name for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if os.environ.get(name)), None)


def _profile_option(profile: str | None) -> str:
    return "" if profile in (None, "default") else f" --profile {quote(profile)}"
