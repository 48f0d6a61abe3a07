"""Translate exceptions of botocore about a profile into errors of stskit, with the next step."""

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

_CHECK_NETWORK: Final = "Check the network, the proxy and the endpoint."
# The problem and the remedy, by the class of botocore's exception or a base class. Its text is not quoted.
_REMEDIES: Final = {
    "NoRegionError": ("it assumes a role and has no region", "Add a region to it, or set AWS_DEFAULT_REGION."),
    "MissingDependencyException": (
        "it uses `aws login`, and botocore needs another package for that",
        "Run: pip install 'botocore[crt]'",
    ),
    "LoginInsufficientPermissions": (
        "its user may not renew the sign-in",
        "Allow signin:CreateOAuth2Token.",
    ),
    "ParamValidationError": (
        "one of its values is not valid for STS",
        "Check role_arn, role_session_name and external_id.",
    ),
    "ConnectionError": (
        "a server that it needs could not be reached",
        _CHECK_NETWORK,
    ),
    "HTTPClientError": ("a server that it needs does not respond", _CHECK_NETWORK),
    "ResponseParserError": ("a server that it needs returned an unreadable response", "Check the endpoint."),
    "AnswerTooLongError": ("a server that it needs returned a response that is too long", "Check the endpoint."),
    "TimeoutError": (
        "a server that it needs did not respond in time",
        _CHECK_NETWORK,
    ),
    "gaierror": ("the name of a server that it needs could not be resolved", "Check the network and the endpoint."),
    "OSError": ("a file that it names cannot be read", "Check its web_identity_token_file."),
    "RecursionError": ("its chain of source profiles is too long", "Shorten the chain."),
    "RuntimeError": ("its credentials have expired", "Check the clock, and the place where the credentials come from."),
    "InvalidConfigError": (
        "its settings contradict each other",
        "Check its role_arn, source_profile, credential_source and sso_session.",
    ),
}
# The AWS CLI command that a person can run.
_SIGN_IN: Final = {
    "SSOTokenLoadError": "sso login",
    "TokenRetrievalError": "sso login",
    "UnauthorizedSSOTokenError": "sso login",
    "LoginError": "login",
    "LoginRefreshRequired": "login",
    "LoginTokenLoadError": "login",
}
_ENDPOINT_REMEDY: Final = "Use an https endpoint: check endpoint_url, AWS_ENDPOINT_URL and HTTP_PROXY."
_CODE: Final = re.compile(r"[A-Za-z.]{1,64}")


def translate(error: Exception, session: Session, where: str, profile: str | None) -> SourceError:
    """Return the error to raise instead of botocore's, which may contain secrets.

    *where* is the name of the profile in messages. *profile* is None for the standard AWS credential chain.
    """
    kind = type(error).__name__
    details: Mapping[str, Any] = getattr(error, "kwargs", {})
    if kind == "ProfileNotFound":
        names = session.available_profiles
        known = f"{', '.join(names[:10])}{', ...' if names[10:] else ''}" if names else "none"
        known = f"The profiles are: {known}."
        if profile is not None:
            error = not_found(session, f"{where} does not exist", f"Correct the name. {known}")
            error.option = "profile"
            return error
        variable = _profile_variable()
        problem = f"{where}: there is no profile {details['profile']!r}, the value of {variable},"
        error = not_found(session, problem, f"Correct {variable}, or unset it. {known}")
        error.variable = error.variable or variable
        return error
    if kind in _SIGN_IN:
        return SignInRequired(
            f"{where}: you are not signed in, or the sign-in has expired ({kind}).",
            remedy=f"Run: aws {_SIGN_IN[kind]}{_profile_option(_path(session)[-1])}",
        )
    if isinstance(getattr(error, "response", None), dict):
        return _refused(error, f"{where}: {getattr(error, 'operation_name', '')} was refused with", kind)
    what, remedy = _describe(error, details, session)
    if (bad := bad_variable()) is not None:
        return ProofInvalid(
            f"{where}: {what} ({kind}).",
            remedy=f"Correct {bad.variable}={bad.value!r}: it must be {bad.name}.",
            variable=bad.variable,
        )
    if profile is None and _is_expiration_wrong(error):
        problem = "has passed" if isinstance(error, RuntimeError) else "is not a valid time"
        return ProofInvalid(
            f"{where}: AWS_CREDENTIAL_EXPIRATION {problem} ({kind}).",
            remedy="Get new credentials, or correct the variable, as in 2030-01-01T00:00:00Z",
            variable="AWS_CREDENTIAL_EXPIRATION",
        )
    path = details.get("path") if kind == "ConfigParseError" else None
    return ProofInvalid(f"{where}: {what} ({kind}).", remedy=remedy, path=path)


def _is_expiration_wrong(error: Exception) -> bool:
    """Return whether the exception is about AWS_CREDENTIAL_EXPIRATION, which botocore reads together with keys."""
    is_used = all(map(os.environ.get, ("AWS_ACCESS_KEY_ID", "AWS_CREDENTIAL_EXPIRATION")))
    return is_used and isinstance(error, RuntimeError | TypeError | ValueError)


def not_found(session: Session, what: str, remedy: str, cli_remedy: str = "") -> SourceMissing:
    """Return the error for something that is not in the config and credentials files.

    If one of the files cannot be read, the remedy is about that instead.
    """
    paths = [
        os.path.expanduser(os.path.expandvars(session.get_config_variable(variable)))
        for variable in ("config_file", "credentials_file")
    ]
    variable, path = None, None
    if any(each.startswith("~") for each in paths):
        remedy = "There is no home folder. Set HOME, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE."
        cli_remedy = ""
        variable = "HOME"
    elif closed := [each for each in paths if os.path.exists(each) and not os.access(each, os.R_OK)]:
        remedy, cli_remedy = f"{closed[0]} cannot be read. Correct its owner or mode.", ""
        path = closed[0]
    return SourceMissing(
        f"{what} in {paths[0]!r} or {paths[1]!r}.", remedy=remedy, cli_remedy=cli_remedy, variable=variable, path=path
    )


def _describe(error: Exception, details: Mapping[str, Any], session: Session) -> tuple[str, str]:
    """Return the problem and the remedy, without secrets."""
    names = [each.__name__ for each in type(error).__mro__]
    match names[0]:
        case "ConfigParseError":
            return f"{details['path']} cannot be parsed{_line(details['error'])}", "Correct the file."
        case "PartialCredentialsError":
            return f"{details['cred_var']} is missing", "Add it, or remove the setting that needs it."
        case "InfiniteLoopConfigError":
            loop = " -> ".join([*details["visited_profiles"], details["source_profile"]])
            return f"its source_profile leads back to itself: {loop}", "Change one source_profile of the loop."
        case "InvalidConfigError" if (last := _path(session)[-1]) not in session.full_config["profiles"]:
            return f"its source_profile {last!r} does not exist", "Correct the name, or create that profile."
        case "PlaintextError":
            return f"nothing was sent, because the request would not be encrypted ({error})", _ENDPOINT_REMEDY
        case "CredentialRetrievalError" if details["provider"] == "custom-process":
            return "its credential_process returned no document with Version 1", "Correct the process."
        case "CredentialRetrievalError":
            return f"{details['provider']} returned no credentials", "Check that it is set up on this machine."
    if name := next((name for name in names if name in _REMEDIES), None):
        return _REMEDIES[name]
    option = _profile_option(session.get_config_variable("profile"))
    return "botocore cannot load it", f"See the reason with: aws sts get-caller-identity{option}"


def _refused(error: Exception, what: str, kind: str) -> ProofInvalid:
    operation = getattr(error, "operation_name", "")
    refusal = refusals.translate(error, refusals.CallDetails(operation))
    code = getattr(refusal, "code", None) or ""
    remedy, cli_remedy = refusal.remedy, refusal.cli_remedy
    if not operation.startswith("AssumeRole"):
        remedy, cli_remedy = "Check its sso_account_id and sso_role_name, and the permissions of its user.", ""
    return ProofInvalid(
        f"{what} {code if _CODE.fullmatch(code) else 'no error code'} ({kind}).", remedy=remedy, cli_remedy=cli_remedy
    )


def line_of(error: Any) -> int | None:
    """Return the line number at which botocore's parser stopped, or None. The line itself may contain a secret."""
    return getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", ())), None)


def _line(error: Any) -> str:
    if (number := line_of(error)) is not None:
        return f" at line {number}"
    return ": it is not UTF-8 text" if isinstance(error, UnicodeError) else ": an indented line is not `name = value`"


def _path(session: Session) -> list[str]:
    """Return the names of the profile and its source profiles, in order."""
    profiles = session.full_config["profiles"]
    path = [session.get_config_variable("profile") or "default"]
    while "role_arn" in (profile := profiles.get(path[-1], {})):
        following = profile.get("source_profile")
        if not isinstance(following, str) or following in path:
            break
        path.append(following)
    return path


def _profile_variable() -> str:
    """Return the environment variable that names the profile. botocore prefers the first."""
    return next((name for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if name in os.environ), "AWS_PROFILE")


def _profile_option(profile: str | None) -> str:
    return "" if profile in (None, "default") else f" --profile {quote(profile)}"
