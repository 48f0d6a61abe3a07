"""Examine the connection to STS: region, endpoint, proxy, certificates, network and clock.

One request is made, for the time of the server. It is not signed and contains no data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from attrs import evolve
from botocore.awsrequest import AWSRequest
from botocore.client import BaseClient
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from botocore.utils import get_environ_proxies

from stskit._cli.doctor.deadline import run_with_deadline
from stskit._cli.doctor.findings import Finding, finding_from_error
from stskit._cli.formatting import format_duration
from stskit.errors import RoleError
from stskit.protocols import Clock
from stskit.sinks import REGIONS
from stskit.sts import BotocoreSTS, clients
from stskit.sts.loader import regions
from stskit.sts.refusals import CallDetails, translate
from stskit.sts.settings import unused_settings
from stskit.sts.wire import PlaintextError, check_url

__all__ = ["of_server"]

_URLS: Final = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")
_IGNORE: Final = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
_SECONDS: Final = 5.0  # for a connection and for a response; twice that for everything
_NOTABLE, _TOO_MUCH = (
    timedelta(seconds=60),
    timedelta(minutes=5),
)  # of two clocks; AWS allows 15 minutes
# Problem and remedy by the class of an exception or of one of its causes. The first class that fits is used.
_PROXY: Final = ("the proxy could not be reached, or refused the connection", "Check HTTPS_PROXY and NO_PROXY.")
_SLOW: Final = ("it did not respond in time", "Check the network, and whether a proxy is needed.")
_CONNECTION_PROBLEMS: Final = {
    "ProxyError": _PROXY,
    "ProxyConnectionError": _PROXY,
    "InvalidProxiesConfigError": ("the settings of the proxy are not valid", "Correct HTTPS_PROXY."),
    "SSLCertVerificationError": (
        "its certificate is not trusted (TLS)",
        "Check AWS_CA_BUNDLE, the clock and the endpoint.",
    ),
    "SSLError": ("a secure connection failed (TLS)", "Check AWS_CA_BUNDLE, the proxy and the endpoint."),
    "gaierror": ("its name could not be resolved (DNS)", "Check the region, the endpoint and the network."),
    "ConnectionRefusedError": ("the connection was refused", "Check the endpoint, and whether a proxy is needed."),
    "TimeoutError": _SLOW,
    "ConnectTimeoutError": _SLOW,
    "ReadTimeoutError": _SLOW,
    "Exception": ("the connection failed", "Check the network, the proxy and the endpoint."),
}


def of_server(
    sts: BotocoreSTS, partition: str | None, clock: Clock, *, signed: bool, offline: bool, is_ambient: bool
) -> Iterator[Finding]:
    """Yield findings about a call of *sts*.

    If the call is *signed*, the profile can configure it. If the source *is_ambient*, another finding reports a missing
    profile.
    """
    try:
        client = _client(sts, partition, signed=signed)
        no_profile = _client(evolve(sts, region=client.meta.region_name), partition, signed=False)
        profile = _profile_settings() if signed else {}
    except RoleError as error:
        yield finding_from_error("region" if error.option == "region" else "endpoint", error)
        return
    except Exception as error:  # noqa: BLE001 - the exceptions of botocore have no common base class
        name = type(error).__name__
        if name == "ProfileNotFound" and is_ambient:
            yield Finding("region", "note", "The region and the endpoint are unknown, because the profile is missing")
            return
        text = f"STS cannot be called, because botocore cannot create a client ({name})"
        translated = translate(error, CallDetails("the call"))
        yield Finding("endpoint", "wrong", text, translated.cli_remedy or translated.remedy)
        return
    url = client.meta.endpoint_url
    url_from = _url_from(sts, "the profile" if url != no_profile.meta.endpoint_url else "")
    yield from _of_variables()
    yield _of_region(sts, client.meta.region_name, profile.get("region"), is_at_aws=not url_from)
    yield _of_endpoint(client, url_from, is_allowed=sts.allow_http)
    yield from _of_proxy(url)
    yield from _of_empty_bundles(profile)
    if not signed and (unused := unused_settings()):
        yield Finding("profile", "note", unused)
    bundles = os.environ.get("AWS_CA_BUNDLE"), profile.get("ca_bundle"), os.environ.get("REQUESTS_CA_BUNDLE")
    bundle = next((each for each in bundles if each and each.strip()), None)
    if bundle and not (os.path.isfile(bundle) and os.access(bundle, os.R_OK)):
        text = f"{bundle}, the file with the certificates of servers, is not a readable file"
        remedy = "Correct AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or ca_bundle, or unset it."
        yield Finding("certificates", "wrong", text, remedy, {"path": bundle})
    if offline:
        text = "STS was not called (offline), so the network and the clock were not checked"
        yield Finding("clock", "note", text)
    else:
        yield _of_clock(url, bundle, clock)


def _client(sts: BotocoreSTS, partition: str | None, *, signed: bool) -> BaseClient:
    options = (("use_fips_endpoint", sts.use_fips or None),)
    return clients.client_for(sts.region, partition, signed=signed, endpoint_url=sts.endpoint_url, options=options)


def _profile_settings() -> dict[str, str]:
    """Return the settings of the profile of the environment, without indented blocks."""
    return {name: value for name, value in Session().get_scoped_config().items() if isinstance(value, str)}


def _of_empty_bundles(profile: Mapping[str, str]) -> Iterator[Finding]:
    values = {name: os.environ.get(name) for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    values["ca_bundle of the profile"] = profile.get("ca_bundle")
    if empty := [name for name, value in values.items() if value is not None and not value.strip()]:
        text = f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty. stskit verifies TLS anyway"
        yield Finding(
            "certificates", "note", text, "Unset it, because some other tools then do not verify certificates."
        )


def _of_variables() -> Iterator[Finding]:
    """Yield findings about variables that contradict each other."""
    region, default = (os.environ.get(name) for name in REGIONS)
    if region and default and region != default:
        text = f"AWS_REGION is {region} and AWS_DEFAULT_REGION is {default}. stskit uses the first, boto3 the second"
        yield Finding("region", "note", text, "Set both to the same region.")
    urls = [name for name in _URLS if os.environ.get(name)]
    if urls and _ignores_urls():
        text = f"{' and '.join(urls)} {'has' if len(urls) == 1 else 'have'} no effect, because {_IGNORE} is true"
        yield Finding("endpoint", "note", text, "Unset the variable that you do not need.")


def _of_region(sts: BotocoreSTS, region: str, profile_region: str | None, *, is_at_aws: bool) -> Finding:
    """Return a finding about the region of STS. *is_at_aws*: it is a region of AWS, whose names are known."""
    named = {"--region": sts.region, **{name: os.environ.get(name) for name in REGIONS}, "the profile": profile_region}
    named_by, wanted = next(((place, value) for place, value in named.items() if value), ("", ""))
    if wanted != region:
        why = f"{named_by} is {wanted}, in another partition than the role" if wanted else "No region is configured"
        remedy = "For an endpoint near you, set AWS_REGION or pass --region."
        facts = {"region": region, "from": "default"}
        return Finding("region", "note", f"{why}, so stskit would call STS in {region}", remedy, facts)
    text, facts = f"stskit would call STS in {region} (from {named_by})", {"region": region, "from": named_by}
    if is_at_aws and region not in regions():
        near = get_close_matches(region, regions(), 1)
        remedy = f"Did you mean {near[0]}?" if near else "Correct it, or upgrade botocore."
        return Finding("region", "note", f"{text}, but botocore knows no such region", remedy, facts)
    return Finding("region", "ok", text, facts=facts)


def _of_endpoint(client: BaseClient, url_from: str, *, is_allowed: bool) -> Finding:
    url = _without_user(client.meta.endpoint_url)
    facts = {"endpoint": url, "from": url_from or "AWS"}
    text = f"stskit would call STS at {url}{f' (from {url_from})' if url_from else ''}"
    try:
        check_url(client.meta.endpoint_url)
    except PlaintextError as error:
        text = f"{text}, where the request would not be encrypted ({error})"
        remedy = "Use an https endpoint." if is_allowed else "Use an https endpoint, or add --allow-http."
        return Finding("endpoint", "note" if is_allowed else "wrong", text, remedy, facts)
    return Finding("endpoint", "ok", text, facts=facts)


def _of_proxy(url: str) -> Iterator[Finding]:
    scheme = urlsplit(url).scheme
    if proxy := getproxies().get(scheme):
        place = _without_user(proxy)
        is_used = scheme in get_environ_proxies(url)
        text = (
            f"The proxy {place} {'would be used' if is_used else 'is not used for this endpoint, because of NO_PROXY'}"
        )
        yield Finding("proxy", "ok", text, facts={"proxy": place})


def _url_from(sts: BotocoreSTS, otherwise: str) -> str:
    named = {} if _ignores_urls() else {name: os.environ.get(name) for name in _URLS}
    places = {"--endpoint-url": sts.endpoint_url, **named}
    return next((place for place, value in places.items() if value), otherwise)


def _ignores_urls() -> bool:
    return os.environ.get(_IGNORE, "").lower() == "true"


def _of_clock(url: str, bundle: str | None, clock: Clock) -> Finding:
    """Return a finding about the difference between the clocks of this machine and of STS."""
    endpoint = _without_user(url)
    facts: dict[str, str | int] = {"endpoint": endpoint}
    try:
        with clients.silence_secret_loggers():
            before = clock.now()
            date = run_with_deadline(2 * _SECONDS, lambda: _date(url, bundle))
            here = before + (clock.now() - before) / 2
    except Exception as error:  # noqa: BLE001 - the exceptions of botocore have no common base class
        problem, remedy = _connection_problem(error)
        return Finding("network", "wrong", f"STS at {endpoint} could not be reached: {problem}", remedy, facts)
    if date is None:
        text = f"The server at {endpoint} responded without a Date header"
        return Finding("clock", "note", text, "Check that the endpoint is an STS.", facts)
    ahead = here.replace(microsecond=0) - date
    seconds = facts["ahead_seconds"] = round(ahead.total_seconds())
    if abs(ahead) < _NOTABLE:
        text = f"STS responded, and the clocks agree within {max(abs(seconds), 1)} s"
        return Finding("clock", "ok", text, facts=facts)
    side = "ahead of" if seconds > 0 else "behind"
    text = f"The clock of this machine is {format_duration(abs(ahead))} {side} that of STS"
    remedy = "Set the clock of this machine, for example with NTP."
    if abs(ahead) <= _TOO_MUCH:
        return Finding("clock", "note", text, remedy, facts)
    return Finding("clock", "wrong", f"{text}, so STS refuses proofs and signatures", remedy, facts)


def _date(url: str, bundle: str | None) -> datetime | None:
    """Return the time of the server's Date header, or None."""
    verify: Any = bundle or True
    times: Any = (_SECONDS, _SECONDS)
    session = URLLib3Session(verify=verify, proxies=get_environ_proxies(url), timeout=times)
    try:
        response = session.send(AWSRequest("GET", url, stream_output=True).prepare())
        with suppress(ValueError, TypeError):  # the header is missing or is not a date
            return parsedate_to_datetime(str(response.headers.get("Date"))).astimezone(UTC)
        return None
    finally:
        session.close()


def _connection_problem(error: BaseException | None) -> tuple[str, str]:
    """Return why a server could not be reached, and what to do. Errors are not quoted: they may have a password."""
    names: set[str] = set()
    while error is not None:
        names |= {each.__name__ for each in type(error).__mro__}
        inner = getattr(error, "kwargs", {}).get("error")
        error = error.__cause__ or error.__context__ or (inner if isinstance(inner, BaseException) else None)
    return next(
        (problem for name, problem in _CONNECTION_PROBLEMS.items() if name in names), _CONNECTION_PROBLEMS["Exception"]
    )


def _without_user(url: str) -> str:
    """Return *url* without user name, password and path."""
    scheme, _, rest = url.rpartition("://")
    return f"{scheme or 'http'}://{rest.rpartition('@')[2].split('/')[0]}"
