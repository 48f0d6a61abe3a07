"""Credentials of a session that refreshes itself, as botocore and other libraries look at them.

This module imports botocore at its top, so it is imported when the first session is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials
from botocore.session import Session

from stskit.credentials import Credentials
from stskit.refresh import Cached

__all__ = ["LiveCredentials", "provide"]

_KEY_ID: Final = "stskit_access_key_id"
_RETRIED: Final = "stskit_retried"
_POSITION: Final = "stskit_body_position"
_SIGNED_WITH: Final = re.compile(r"\bCredential=([^/,\s]+)/")
_ALWAYS_COUNTS: Final = "UnrecognizedClientException"
_REFUSALS: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidClientTokenId", _ALWAYS_COUNTS}
)


def provide(session: Session, cached: Cached) -> None:
    """Have the clients of *session* sign with the credentials of *cached*, and replace a key that a service refuses."""
    refusals = _Refusals(cached)
    session.register_component("credential_provider", LiveCredentials(cached))
    session.get_component("event_emitter").register_last("before-call", refusals.keep_position)
    session.get_component("event_emitter").register_last("request-created", refusals.keep_key_id)
    session.get_component("event_emitter").register_last("needs-retry", refusals.retry_with_new_key)


def _computed(name: str, get: Callable[[LiveCredentials], Any]) -> property:
    """Return a property called *name* that cannot be set: what a caller sets would be lost at the next refresh."""

    def refuse(_self: LiveCredentials, _value: object) -> NoReturn:
        raise AttributeError(f"{name} cannot be set: these credentials refresh themselves")

    return property(get, refuse, doc=f"{name}, as it is now.")


class LiveCredentials(RefreshableCredentials):
    """botocore's refreshable credentials by type and by attributes; what they hold is that of a `Cached`.

    What is signed comes from `get_frozen_credentials`, so it is one whole set. The attributes are for callers who look
    at one thing; two of them read one after the other may be of different sets. A pickle of them is the recipe, without
    credentials, and a copy is the object itself.
    """

    def __init__(self, cached: Cached) -> None:  # not the parent's: what it sets is computed here
        self._cached = cached
        self._frozen_pair: tuple[Credentials | None, ReadOnlyCredentials | None] = None, None

    # pyright does not take what a function returns for the property that it is
    access_key = _computed("access_key", lambda self: self._cached.fetch().access_key_id)  # pyright: ignore[reportIncompatibleMethodOverride]
    secret_key = _computed("secret_key", lambda self: self._cached.fetch().secret_access_key)  # pyright: ignore[reportIncompatibleMethodOverride]
    token = _computed("token", lambda self: self._cached.fetch().session_token)  # pyright: ignore[reportIncompatibleMethodOverride]
    account_id = _computed("account_id", lambda self: self._cached.fetch().account_id)  # pyright: ignore[reportIncompatibleMethodOverride]
    method = _computed("method", lambda _: "stskit")
    # What the parent keeps for itself, and other libraries read: nothing is fetched for these.
    _access_key = _computed("_access_key", lambda self: self._held("access_key_id"))
    _secret_key = _computed("_secret_key", lambda self: self._held("secret_access_key"))
    _token = _computed("_token", lambda self: self._held("session_token"))
    _account_id = _computed("_account_id", lambda self: self._held("account_id"))
    _expiry_time = _computed("_expiry_time", lambda self: self._held("expiration"))
    _staged_expiry_time = _computed("_staged_expiry_time", lambda _: None)
    _frozen_credentials = _computed("_frozen_credentials", lambda self: self._freeze(self._cached.in_hand))
    _time_fetcher = _computed("_time_fetcher", lambda self: self._cached.clock.now)
    _refresh_using = _computed("_refresh_using", lambda self: self._metadata)
    _refresh_lock = _computed("_refresh_lock", lambda _: None)

    def __repr__(self) -> str:
        return f"LiveCredentials({self._cached!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return LiveCredentials, (self._cached,)

    def __copy__(self) -> LiveCredentials:
        return self

    def __deepcopy__(self, _memo: object) -> LiveCredentials:
        return self

    def load_credentials(self) -> LiveCredentials:
        """Return these, for to botocore this object is the provider of credentials as well. Raises nothing."""
        return self

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return one whole set, after a refresh where it is needed. Raises what the source raises."""
        frozen = self._freeze(self._cached.fetch())
        assert frozen is not None
        return frozen

    def get_deferred_property(self, property_name: str) -> Callable[[], Any]:
        """Return a function that returns the attribute of that name. Raises nothing."""
        return lambda: getattr(self, property_name)

    def refresh_needed(self, refresh_in: float | None = None) -> bool:
        """Whether the credentials in hand expire within *refresh_in* seconds, a service has refused them, or there are
        none. Raises nothing.

        *refresh_in* defaults to the advisory window of the `Cached`.
        """
        if refresh_in is None:
            return not self._cached.is_fresh
        left = self._cached.time_left
        return left <= timedelta(0) or left < timedelta(seconds=refresh_in)

    def _refresh(self) -> None:
        self._cached.fetch()

    def _protected_refresh(self, is_mandatory: bool) -> None:  # noqa: ARG002 - botocore's signature
        self._cached.fetch()

    def _held(self, name: str) -> Any:
        held = self._cached.in_hand
        return None if held is None else getattr(held, name)

    def _freeze(self, keys: Credentials | None) -> ReadOnlyCredentials | None:
        of, frozen = self._frozen_pair  # a pair, so that no thread sees the keys of one set with another set
        if keys is not None and of is not keys:
            frozen = ReadOnlyCredentials(
                keys.access_key_id, keys.secret_access_key, keys.session_token, keys.account_id
            )
            self._frozen_pair = keys, frozen
        return frozen

    def _metadata(self) -> dict[str, Any]:
        keys = self._cached.fetch()
        expiration: datetime | None = keys.expiration
        return {
            "access_key": keys.access_key_id,
            "secret_key": keys.secret_access_key,
            "token": keys.session_token,
            "expiry_time": expiration and expiration.isoformat(),
            "account_id": keys.account_id,
        }


class _Refusals:
    """Handlers of botocore's events: a request whose key a service has refused is sent once more, with a new key."""

    def __init__(self, cached: Cached) -> None:
        self._cached = cached

    def keep_position(self, params: dict[str, Any], **_event: object) -> None:
        """Note where the body of a request begins, before botocore wraps it to send it in chunks."""
        params["context"][_POSITION] = _position(params.get("body"))

    def keep_key_id(self, request: Any, **_event: object) -> None:
        """Note the key that a request was signed with; the signer has run before."""
        signed = _SIGNED_WITH.search(_text(request.headers.get("Authorization", "")))
        request.context[_KEY_ID] = signed and signed[1]

    def retry_with_new_key(
        self, response: Any, operation: Any, request_dict: dict[str, Any], **_event: object
    ) -> float | None:
        """Return a pause of zero to have the request sent once more, None to leave it as it is."""
        context = request_dict["context"]
        key_id = context.get(_KEY_ID)
        if key_id is None or _RETRIED in context or not _is_refusal(response, operation):
            return None
        if (
            context.get(_POSITION)
            or not _is_rewindable(request_dict.get("body"))
            or not self._cached.replace_refused(key_id)
        ):
            return None
        context[_RETRIED] = True
        return 0.0


def _text(header: str | bytes) -> str:
    return header.decode("latin-1") if isinstance(header, bytes) else header


def _is_refusal(response: Any, operation: Any) -> bool:
    """Whether the service has refused the key, and the code is not an error of the operation itself."""
    if response is None:
        return False
    code = response[1].get("Error", {}).get("Code")
    if code not in _REFUSALS:
        return False
    own = {name for shape in operation.error_shapes for name in (shape.name, shape.error_code)}
    return code == _ALWAYS_COUNTS or code not in own


def _position(body: Any) -> int:
    """Return where *body* is read from.

    botocore rewinds a body to its start, so that a retry would send more than the first request did.
    """
    with suppress(Exception):  # a body is the caller's code, and most have no position
        return int(body.tell())
    return 0


def _is_rewindable(body: Any) -> bool:
    if not hasattr(body, "read"):  # text, bytes, or the fields of a form
        return True
    with suppress(Exception):  # a body is the caller's code
        body.seek(0)
        return True
    return False
