"""The credentials object of a session that refreshes itself, as botocore and other libraries use it.

This module imports botocore at its top, so it is imported when the first session is created.
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
from stskit.errors import remove_frames, without_frames
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
    """Make the clients of *session* sign with the credentials of *cached*, and replace a key that a service refuses."""
    refusals = _Refusals(cached)
    session.register_component("credential_provider", LiveCredentials(cached))
    session.get_component("event_emitter").register_last("before-call", refusals.keep_position)
    session.get_component("event_emitter").register_last("request-created", refusals.keep_key_id)
    session.get_component("event_emitter").register_last("needs-retry", refusals.retry_with_new_key)


def _computed(name: str, get: Callable[[LiveCredentials], Any]) -> property:
    """Return a property that cannot be set, because the next refresh would overwrite the value."""

    def refuse(_self: LiveCredentials, _value: object) -> NoReturn:
        raise AttributeError(f"{name} cannot be set, because these credentials refresh themselves")

    return property(without_frames(get), refuse, doc=f"The current {name}.")


class LiveCredentials(RefreshableCredentials):
    """An object with the type and the attributes of botocore's refreshable credentials, whose content is a `Cached`.

    Requests are signed with the result of `get_frozen_credentials`, so that key, secret and token always belong
    together. Two attributes that are read one after the other may belong to different credentials. A pickle contains
    the recipe and no credentials, and a copy is the same object.
    """

    def __init__(self, cached: Cached) -> None:  # the parent's is not called, because its attributes are computed here
        self._cached = cached
        self._frozen_pair: tuple[Credentials | None, ReadOnlyCredentials | None] = None, None

    # pyright does not recognise the result of a function as a property
    access_key = _computed("access_key", lambda self: self._cached.fetch().access_key_id)  # pyright: ignore[reportIncompatibleMethodOverride]
    secret_key = _computed("secret_key", lambda self: self._cached.fetch().secret_access_key)  # pyright: ignore[reportIncompatibleMethodOverride]
    token = _computed("token", lambda self: self._cached.fetch().session_token)  # pyright: ignore[reportIncompatibleMethodOverride]
    account_id = _computed("account_id", lambda self: self._cached.fetch().account_id)  # pyright: ignore[reportIncompatibleMethodOverride]
    method = _computed("method", lambda _: "stskit")
    # Private attributes of the parent, which other libraries read. They do not fetch credentials.
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
        """Return this object, because it is also the credential provider for botocore."""
        return self

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return key, secret and token together, after a refresh if it is needed. Raises the errors of the source."""
        try:
            frozen = self._freeze(self._cached.fetch())
        except BaseException as error:  # each request calls this function, and `without_frames` would slow it down
            remove_frames(error)
            raise
        assert frozen is not None
        return frozen

    def get_deferred_property(self, property_name: str) -> Callable[[], Any]:
        """Return a function that returns the attribute."""
        return lambda: getattr(self, property_name)

    def refresh_needed(self, refresh_in: float | None = None) -> bool:
        """Return whether there are no credentials, a service refused them, or they expire within *refresh_in* seconds.

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
        of, frozen = self._frozen_pair  # a tuple, so that no thread combines two different credentials
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
    """Event handlers for botocore that send a request again with a new key, if a service refused its key."""

    def __init__(self, cached: Cached) -> None:
        self._cached = cached

    def keep_position(self, params: dict[str, Any], **_event: object) -> None:
        """Remember where the body of a request begins, before botocore wraps it for chunked sending."""
        params["context"][_POSITION] = _position(params.get("body"))

    def keep_key_id(self, request: Any, **_event: object) -> None:
        """Remember the key of a signed request. The signer runs before this handler."""
        signed = _SIGNED_WITH.search(_text(request.headers.get("Authorization", "")))
        request.context[_KEY_ID] = signed and signed[1]

    def retry_with_new_key(
        self, response: Any, operation: Any, request_dict: dict[str, Any], **_event: object
    ) -> float | None:
        """Return a pause of zero to send the request again, or None to leave it unchanged."""
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
    """Return whether the service refused the key, and the code is not an error of the operation itself."""
    if response is None:
        return False
    code = response[1].get("Error", {}).get("Code")
    if code not in _REFUSALS:
        return False
    own = {name for shape in operation.error_shapes for name in (shape.name, shape.error_code)}
    return code == _ALWAYS_COUNTS or code not in own


def _position(body: Any) -> int:
    """Return the position at which a body begins.

    botocore rewinds a body to its start, so a retry would send more than the first request.
    """
    with suppress(Exception):  # a body is code of the caller, and many have no position
        return int(body.tell())
    return 0


def _is_rewindable(body: Any) -> bool:
    if not hasattr(body, "read"):  # text, bytes or form fields
        return True
    with suppress(Exception):  # a body is code of the caller
        body.seek(0)
        return True
    return False
