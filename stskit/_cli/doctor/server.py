"""What `stskit doctor` says about the server that would be asked, and its one request: for the time there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from stskit._cli.doctor.findings import Finding, of_message
from stskit._cli.doctor.region import of_region
from stskit._cli.formatting import span
from stskit.errors import RoleError
from stskit.protocols import Clock
from stskit.sinks.environment import REGIONS
from stskit.sts import BotocoreSTS, clients
from stskit.sts.refusals import CallDetails, translate

__all__ = ["Server", "of_clock", "of_server", "of_variables", "server"]

_URLS: Final = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")
_IGNORE: Final = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
_BUNDLES: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_SECONDS: Final = 5.0  # to connect, and to read; and twice that for all of it
_NOTABLE, _TOO_MUCH = timedelta(seconds=60), timedelta(minutes=5)  # between two clocks; AWS refuses over 15 minutes
# By the exception, or one of those that it stands for; the first one counts.
_WHY: Final = {
    "ProxyError": ("the proxy cannot be reached, or refuses", "check HTTPS_PROXY and NO_PROXY"),
    "ProxyConnectionError": ("the proxy cannot be reached, or refuses", "check HTTPS_PROXY and NO_PROXY"),
    "InvalidProxiesConfigError": ("the settings of the proxy are not valid", "correct HTTPS_PROXY"),
    "SSLCertVerificationError": ("its certificate is not trusted (TLS)", "check AWS_CA_BUNDLE, clock and endpoint"),
    "SSLError": ("no secure connection can be made (TLS)", "check AWS_CA_BUNDLE, the proxy and the endpoint"),
    "gaierror": ("its name cannot be resolved (DNS)", "check the region, the endpoint and the network"),
    "ConnectionRefusedError": ("the connection is refused", "check the endpoint, and whether a proxy is needed"),
    "TimeoutError": ("it does not answer in time", "check the network, and whether a proxy is needed"),
    "ConnectTimeoutError": ("it does not answer in time", "check the network, and whether a proxy is needed"),
    "ReadTimeoutError": ("it does not answer in time", "check the network, and whether a proxy is needed"),
    "Exception": ("the connection fails", "check the network, the proxy and the endpoint"),
}
_SET_CLOCK: Final = "set the clock of this machine, by NTP"


@frozen
class Server:
    """Where STS would be asked, and what says so. `bundle`: the file of certificates, None for the usual ones."""

    region: str
    wanted: str
    """The region that is named; "" where none is."""
    region_from: str
    url: str
    url_from: str
    bundle: str | None
    is_open: bool
    """Whether what is sent can be read on its way."""


def server(asked: BotocoreSTS, partition: str | None, *, signed: bool) -> Server | Finding:
    """As *asked* would find it; or what stops it. *signed*: whether the call is one that the profile has a say in."""
    options = (("use_fips_endpoint", asked.use_fips or None),)
    try:
        client = clients.client_for(
            asked.region, partition, signed=signed, endpoint_url=asked.endpoint_url, options=options
        )
        said: dict[str, Any] = _of_profile() if signed else {"urls": ()}
    except RoleError as error:
        return of_message("region", "wrong", error)
    except Exception as error:  # noqa: BLE001 - what botocore raises has no common base
        told = translate(error, CallDetails("the call"))
        name = type(error).__name__
        text = f"STS could not be asked anywhere, for botocore cannot make a client ({name})"
        return Finding("endpoint", "wrong", text, getattr(told, "remedy", ""))
    bundle = os.environ.get(_BUNDLES[0]) or said.get("ca_bundle") or os.environ.get(_BUNDLES[1])
    region, url = client.meta.region_name, client.meta.endpoint_url
    regions = {"--region": asked.region, **{name: os.environ.get(name) for name in REGIONS}}
    regions["the profile"] = said.get("region")
    first = next((place for place, value in regions.items() if value), "")
    return Server(
        region=region,
        region_from=first,
        wanted=regions.get(first) or "",
        url=url,
        url_from=_url_from(asked, url, said),
        bundle=bundle,
        is_open=clients.is_remote_plaintext(client),
    )


def of_server(found: Server) -> Iterator[Finding]:
    """The region, the endpoint, and how it would be reached."""
    yield of_region(found.region, found.region_from, found.wanted, is_at_aws=not found.url_from)
    url = _without_user(found.url)
    origin = f", as {found.url_from} says" if found.url_from else ""
    facts = {"endpoint": url, "from": found.url_from or "AWS"}
    if found.is_open:
        text = f"STS would be asked at {url}{origin}, where others can read on the way what is sent"
        yield Finding("endpoint", "wrong", text, "use an https endpoint", facts)
    else:
        yield Finding("endpoint", "ok", f"STS would be asked at {url}{origin}", facts=facts)
    yield from _of_proxy(found.url)
    if found.bundle and not (os.path.isfile(found.bundle) and os.access(found.bundle, os.R_OK)):
        text = f"The certificates of servers are to be found in {found.bundle}, which is no file that can be read"
        remedy = f"correct {' or '.join(_BUNDLES)} or ca_bundle, or unset it"
        yield Finding("certificates", "wrong", text, remedy, {"path": found.bundle})


def of_variables() -> Iterator[Finding]:
    """Variables that do not say the same, or that hide each other."""
    region, default = (os.environ.get(name) for name in REGIONS)
    if region and default and region != default:
        text = f"AWS_REGION is {region} and AWS_DEFAULT_REGION is {default}: stskit takes the first, boto3 the second"
        yield Finding("region", "note", text, "set both to the same")
    urls = [name for name in _URLS if os.environ.get(name)]
    if urls and _ignores_urls():
        text = f"{' and '.join(urls)} will not be used, since {_IGNORE} is true"
        yield Finding("endpoint", "note", text, "unset what is not meant")
    elif len(urls) > 1 and os.environ[urls[0]] != os.environ[urls[1]]:
        yield Finding("endpoint", "note", f"{urls[1]} will not be used for STS, since {urls[0]} is set")


def of_clock(found: Server, clock: Clock) -> Finding:
    """By how much the clock here differs from STS's, by one request that is not signed and says nothing."""
    url = _without_user(found.url)
    try:
        with clients.silence_secret_loggers():
            before = clock.now()
            date = clients.run_with_deadline(2 * _SECONDS, lambda: _date(found))
            here = before + (clock.now() - before) / 2
    except Exception as error:  # noqa: BLE001 - what botocore raises has no common base
        why, remedy = _why(error)
        return Finding("network", "wrong", f"STS at {url} cannot be reached: {why}", remedy, {"endpoint": url})
    if date is None:
        text = f"The server at {url} answers, and does not say what time it is"
        return Finding("clock", "note", text, "check that the endpoint is that of an STS", {"endpoint": url})
    ahead = here.replace(microsecond=0) - date
    facts: dict[str, str | int] = {"endpoint": url, "ahead_seconds": round(ahead.total_seconds())}
    if abs(ahead) < _NOTABLE:
        within = max(abs(round(ahead.total_seconds())), 1)
        text = f"STS answers, and the clock of this machine agrees with its, within {within} s"
        return Finding("clock", "ok", text, facts=facts)
    side = "ahead of" if ahead > timedelta(0) else "behind"
    text = f"The clock of this machine is {span(abs(ahead))} {side} that of STS"
    if abs(ahead) <= _TOO_MUCH:
        return Finding("clock", "note", text, _SET_CLOCK, facts)
    return Finding("clock", "wrong", f"{text}, so that proofs and signatures are refused", _SET_CLOCK, facts)


def _of_proxy(url: str) -> Iterator[Finding]:
    from urllib.request import getproxies

    from botocore.utils import get_environ_proxies

    scheme = urlsplit(url).scheme
    if proxy := getproxies().get(scheme):
        used = scheme in get_environ_proxies(url)
        place = _without_user(proxy)
        text = f"The proxy {place} {'would be used' if used else 'is passed by for this endpoint, as NO_PROXY says'}"
        yield Finding("proxy", "ok", text, facts={"proxy": place})


def _url_from(asked: BotocoreSTS, url: str, said: dict[str, Any]) -> str:
    named = {} if _ignores_urls() else {name: os.environ.get(name) for name in _URLS}
    places = {"--endpoint-url": asked.endpoint_url, **named}
    return next((place for place, value in places.items() if value), "the profile" if url in said["urls"] else "")


def _ignores_urls() -> bool:
    return os.environ.get(_IGNORE, "").lower() == "true"


def _of_profile() -> dict[str, Any]:
    """What the ambient profile says that concerns the server."""
    from botocore.session import Session

    session = Session()
    # what has an indented block is none of what is looked for
    said = {name: value for name, value in session.get_scoped_config().items() if isinstance(value, str)}
    services = session.full_config.get("services", {}).get(said.get("services"), {}).get("sts")
    of_service = services.get("endpoint_url") if isinstance(services, dict) else None
    return {**said, "urls": (said.get("endpoint_url"), of_service)}


def _date(found: Server) -> datetime | None:
    """What the server says that the time is."""
    from contextlib import suppress
    from email.utils import parsedate_to_datetime

    from botocore.awsrequest import AWSRequest
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    verify: Any = found.bundle or True
    times: Any = (_SECONDS, _SECONDS)
    session = URLLib3Session(verify=verify, proxies=get_environ_proxies(found.url), timeout=times)
    try:
        answer = session.send(AWSRequest("GET", found.url, stream_output=True).prepare())
        with suppress(ValueError, TypeError):  # no date in it
            return parsedate_to_datetime(str(answer.headers.get("Date"))).astimezone(UTC)
        return None
    finally:
        session.close()


def _why(error: BaseException | None) -> tuple[str, str]:
    """Why a server cannot be reached, and what to do; nothing of what an error quotes, which may be a password."""
    names: set[str] = set()
    while error is not None:
        names |= {each.__name__ for each in type(error).__mro__}
        told = getattr(error, "kwargs", {}).get("error")
        error = error.__cause__ or error.__context__ or (told if isinstance(told, BaseException) else None)
    return next((told for name, told in _WHY.items() if name in names), _WHY["Exception"])


def _without_user(url: str) -> str:
    """*url* without name and password, and without all that comes after the host."""
    scheme, _, rest = url.rpartition("://")
    return f"{scheme or 'http'}://{rest.rpartition('@')[2].split('/')[0]}"
