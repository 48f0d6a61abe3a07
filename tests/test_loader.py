"""The reduced data for an STS client of botocore: less is read, and the requests are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import EndpointResolutionError, EndpointVariantError
from botocore.loaders import Loader
from botocore.session import Session

from stskit.sts import clients
from stskit.sts.loader import sts_loader_for

PLAIN = Loader()
PARTITIONS = PLAIN.load_data("partitions")["partitions"]
UNKNOWN = ("xx-new-1", "us-future-9", "cn-new-5", "us-gov-new-1", "eusc-de-new-9", "us-isoe-new-2", "mars-1")
REGIONS = [*(name for each in PARTITIONS for name in each["regions"]), *UNKNOWN, "fips-us-east-1", "us-gov-west-1-fips"]


class Sent(Exception):
    """An exception that has a request which is not sent."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        self.url = request.url
        self.headers: Any = request.headers


def stop(request: AWSPreparedRequest, **_: object) -> None:
    raise Sent(request)


def session(loader: Loader | None) -> Session:
    made = Session()
    made.register_component("data_loader", loader or sts_loader_for(made))
    made.set_config_variable("sts_regional_endpoints", "regional")
    made.set_credentials("AKIA", "secret")
    return made


def sent(session: Session, region: str, *, fips: bool, dualstack: bool, url: str | None = None) -> tuple[str, ...]:
    """Return the URL, the signing scope and the user agent of a request."""
    config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=dualstack)
    client: Any = session.create_client("sts", region, endpoint_url=url, config=config)
    client.meta.events.register_first("before-send.sts", stop)
    with pytest.raises(Sent) as stopped:
        client.get_caller_identity()
    scope = stopped.value.headers["Authorization"].decode().split(",")[0].split("/", 2)[2]
    return stopped.value.url, scope, client.meta.region_name, client.meta.endpoint_url, client.meta.partition


def test_a_request_is_that_of_an_ordinary_client() -> None:
    """In each region, with FIPS or dual stack, a request has the same URL and scope as that of a plain client.

    Only in isolated regions botocore has no endpoint for some variants.
    """
    plain, ours = session(PLAIN), session(None)
    for region, fips, dualstack in product(REGIONS, (False, True), (False, True)):
        try:
            expected = sent(plain, region, fips=fips, dualstack=dualstack)
        # The first is raised when the client is created, the second when it makes a call.
        except (EndpointVariantError, EndpointResolutionError):
            assert dualstack
            assert "-iso" in region
        else:
            assert sent(ours, region, fips=fips, dualstack=dualstack) == expected, (region, fips, dualstack)


@pytest.mark.parametrize("region", ["us-east-1", "cn-north-1", "us-gov-west-1", "aws-global", "mars-1"])
def test_a_request_to_another_server_is_that_of_an_ordinary_client(region: str) -> None:
    """A request to another server has that server's URL and is signed as with a plain client, in any region."""
    url = "http://127.0.0.1:1/sts"
    one, other = (sent(session(each), region, fips=False, dualstack=False, url=url) for each in (PLAIN, None))
    assert one == other
    assert one[0] == url


def test_endpoint_data_of_the_user_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint data in the folder of AWS_DATA_PATH is used, as in botocore."""
    endpoints = PLAIN.load_data("endpoints")
    for partition in endpoints["partitions"]:
        partition["services"]["sts"] = {"endpoints": {"us-east-1": {"hostname": "sts.corp.example"}}}
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    for signed in (True, False):
        client = clients.client_for("us-east-1", "aws", signed=signed, endpoint_url=None, options=())
        assert client.meta.endpoint_url == "https://sts.corp.example"


def test_a_first_call_opens_only_the_files_of_sts() -> None:
    """The first call opens only the files of STS and not the endpoint data of all services."""
    code = (
        "import os, sys; seen = set();"
        "sys.addaudithook(lambda event, given: event in ('open', 'os.listdir') and seen.add(str(given[0])));"
        "from stskit import caller_identity, Credentials, StskitError;"
        "from contextlib import suppress;"
        "\nwith suppress(StskitError): caller_identity(Credentials('AKIA', 'secret'))\n"
        "from botocore.loaders import Loader; data = Loader.BUILTIN_DATA_PATH + os.sep;"
        "print(*sorted({path[len(data):].split(os.sep)[0] for path in seen if path.startswith(data)}))"
    )
    environ = {**os.environ, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"_retry.json", "partitions.json", "sdk-default-configuration.json", "sts"}
    assert {"partitions.json", "sts"} <= set(done.stdout.split())
