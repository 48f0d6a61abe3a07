"""A sink that makes environment variables, and the variables that select credentials in SDKs and tools."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from stskit._arguments import check_environ, flag, optional_shown_text
from stskit.credentials import Credentials, Secret, check_credentials
from stskit.errors import init_without_frames, without_frames
from stskit.sinks import REGIONS

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["OWN_VARIABLES", "Environment", "bearer_tokens", "sign_with_keys_only", "to_unset", "variables"]

# The variables that `Environment` writes, variables that describe credentials, and variables that SDKs prefer. An older
# value would be mixed with the new credentials or be used instead of them.
OWN_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AWS_CREDENTIAL_SCOPE",
    "AWS_ACCOUNT_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
)
# Other variables by which an SDK or a tool finds other credentials or names the credentials that it set. Each group
# belongs to one feature or tool.
_OTHER_IDENTITIES: Final = (
    # https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
    *("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    # https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    # older SDKs, the EC2 tools, boto 2, Ansible, the EB CLI
    *("AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_DELEGATION_TOKEN", "AWS_CREDENTIAL_FILE", "AWS_EB_PROFILE"),
    *("EC2_ACCESS_KEY", "EC2_SECRET_KEY", "EC2_SECURITY_TOKEN"),
    "AWS_VAULT",
    *("AWSUME_PROFILE", "AWSUME_EXPIRATION", "AWSUME_COMMAND"),
    *("AWSU_PROFILE", "AWSU_EXPIRES"),
    *("GRANTED_SSO", "GRANTED_SSO_START_URL", "GRANTED_SSO_ROLE_NAME", "GRANTED_SSO_REGION", "GRANTED_SSO_ACCOUNT_ID"),
    "SAML2AWS_PROFILE",
    *("AWS_OKTA_PROFILE", "AWS_OKTA_ASSUMED_ROLE", "AWS_OKTA_ASSUMED_ROLE_ARN", "AWS_OKTA_SESSION_EXPIRATION"),
    *("AWS_SSO_PROFILE", "AWS_SSO_ACCOUNT_ID", "AWS_SSO_ROLE_NAME", "AWS_SSO_ROLE_ARN", "AWS_SSO_SESSION_EXPIRATION"),
    "AWS_BEARER_TOKEN_BEDROCK",
)
# Bearer tokens for a service, which SDKs prefer to keys. https://docs.aws.amazon.com/sdkref/latest/guide/feature-bearer-token.html
_BEARER_TOKEN: Final = re.compile(r"\bAWS_BEARER_TOKEN_[A-Z0-9_]+\b")
_KEYS, _TOKEN, _PREFERENCE = "sigv4", "httpBearerAuth", "AWS_AUTH_SCHEME_PREFERENCE"
_NAMES: Final = {
    "AccessKeyId": "AWS_ACCESS_KEY_ID",
    "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
    "SessionToken": "AWS_SESSION_TOKEN",
    "Expiration": "AWS_CREDENTIAL_EXPIRATION",
}


def variables(credentials: Credentials, region: str | None, expiration: bool) -> dict[str, str]:
    """Return the variables that every SDK reads. Their secrets are `Secret` texts."""
    fields = credentials.as_dict()
    found = {name: fields[key] for key, name in _NAMES.items() if key in fields and (expiration or key != "Expiration")}
    return found | ({} if region is None else dict.fromkeys(REGIONS, region))


def bearer_tokens(text: str) -> list[str]:
    """Return the names of bearer token variables in a text."""
    return sorted({*_BEARER_TOKEN.findall(text)})


def to_unset(environ: Mapping[str, str], region: str | None) -> tuple[str, ...]:
    """Return the variables to remove before new credentials are set, and the variables that are set.

    *environ* is searched for bearer tokens of services that are not known here.
    """
    tokens = [name for name in environ if _BEARER_TOKEN.fullmatch(name)]
    if _TOKEN in environ.get(_PREFERENCE, ""):
        tokens.append(_PREFERENCE)  # other values are settings, for example the signature for several regions
    return tuple(dict.fromkeys((*OWN_VARIABLES, *_OTHER_IDENTITIES, *tokens, *(() if region is None else REGIONS))))


def _check_environ(_self: object, _attribute: object, environ: Mapping[str, str] | None) -> None:
    check_environ(environ)


@init_without_frames
@frozen
class Environment:
    """A sink that returns environment variables as a new dict. It changes nothing in this process, except in `applied`.

    Args:
        environ: Environment to add the variables to, for example ``os.environ`` for a child process. It is not changed.
            Variables by which an SDK would find other credentials are removed from the result: keys, profiles, bearer
            tokens, roles, web identity, containers, and variables of other tools such as ``AWS_VAULT``. Defaults to an
            empty environment.
        expiration: Whether to set ``AWS_CREDENTIAL_EXPIRATION`` too. botocore refuses credentials 10 minutes before
            that time, because nothing refreshes the variables. Defaults to False.
        region: AWS region, set in ``AWS_REGION`` and ``AWS_DEFAULT_REGION``. Defaults to not setting them.

    Raises:
        TypeError: If an argument has the wrong type.

    Example:
        >>> import os, subprocess, sys
        >>> from stskit import assume
        >>> from stskit.sinks import Environment
        >>> environ = assume("arn:aws:iam::123456789012:role/Deploy").to(Environment(os.environ))
        >>> command = [sys.executable, "-c", "import os; print(os.environ['AWS_ACCESS_KEY_ID'])"]
        >>> subprocess.run(command, env=environ, capture_output=True, text=True).stdout
        'ASIA...'

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
    """

    environ: Mapping[str, str] | None = field(default=None, repr=False, validator=_check_environ)  # may contain secrets
    expiration: bool = field(default=False, kw_only=True, validator=flag)
    region: str | None = field(default=None, kw_only=True, validator=optional_shown_text)

    @property
    def unset(self) -> tuple[str, ...]:
        """The variables to remove before you set these credentials, and again when you do not need them any more.

        They are the variables of the credentials, and those by which an SDK would find other credentials. Raises
        nothing.
        """
        return to_unset(os.environ if self.environ is None else self.environ, self.region)

    @without_frames
    def write(self, credentials: Credentials, /) -> dict[str, str]:
        """Return the environment variables. Their secrets are `Secret` texts, which are masked in a repr.

        Args:
            credentials: The credentials to deliver.

        Returns:
            A new dict with `environ` without other credentials, and with the new variables.

        Raises:
            TypeError: If they are not `Credentials`.
        """
        check_credentials(credentials)
        environ = {} if self.environ is None else self.environ
        removed = to_unset(environ, None)
        kept = {name: value for name, value in environ.items() if name not in removed}
        return kept | variables(credentials, self.region, self.expiration)

    @contextmanager
    def applied(self, credentials: Credentials, /) -> Iterator[None]:
        """Set the variables in ``os.environ`` for a block, and restore the environment after it.

        Use it for code that reads credentials only from the environment. All threads of the process share the
        environment, so prefer a child process or a session if there are others. `environ` is not used.

        Args:
            credentials: The credentials to set.

        Yields:
            Nothing.

        Raises:
            TypeError: If they are not `Credentials`.
        """
        check_credentials(credentials)
        names = to_unset(os.environ, self.region)
        before = {name: Secret(os.environ[name]) for name in names if name in os.environ}
        _replace(names, variables(credentials, self.region, self.expiration))
        try:
            yield
        finally:
            _replace(names, before)


def _replace(names: tuple[str, ...], values: Mapping[str, str]) -> None:
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(values)


def sign_with_keys_only(session: Session) -> None:
    """Make the clients of a session sign with its credentials and never send a bearer token instead.

    If a service accepts both, botocore prefers a token of the environment or of an SSO sign-in, which is another
    identity.
    """
    session.register_component("token_provider", _NoTokens())
    session.get_component("event_emitter").register_first("choose-signer", _choose_keys)


class _NoTokens:
    """A token provider for botocore without tokens."""

    def load_token(self, **_options: object) -> None:
        return None


def _choose_keys(signing_name: str, signature_version: object, context: Mapping[str, Any], **_: object) -> str | None:
    """Return the signature with keys if botocore could choose a token, or None to let botocore choose."""
    schemes = {scheme.partition("#")[2] for scheme in context.get("auth_options") or ()}
    has_token = f"AWS_BEARER_TOKEN_{signing_name.replace('-', '_').replace(' ', '_').upper()}" in os.environ
    takes_both = {_KEYS, _TOKEN} <= schemes
    if signature_version == "v4" and (takes_both or has_token):
        return "v4"
    return "v4" if context.get("auth_type") == "bearer" and takes_both else None
