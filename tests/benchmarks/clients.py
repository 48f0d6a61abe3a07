"""Ways to get credentials with stskit and with each of its peers, as a program of a user does it.

It runs in separate processes, and their start is a part of the figure. So each function imports its libraries, and this
module imports nothing. The environment has the address of STS and the first keys, see `fresh`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import, and a client that is measured must not pay for it
    from collections.abc import Callable
    from typing import Any

ARN = "arn:aws:iam::123456789012:role/"


def request(name: str) -> dict[str, Any]:
    return {"RoleArn": ARN + name, "RoleSessionName": "me"}


# A session that refreshes itself, for the role of that name, made from the one that is given.


def aws_assume_role_lib(name: str, parent: Any) -> Any:
    from aws_assume_role_lib.aws_assume_role_lib import assume_role

    return assume_role(parent, **request(name))


def boto3_assume(name: str, parent: Any) -> Any:
    from boto3_assume import assume_role

    return assume_role(parent, request(name))


def boto3_refresh_session(name: str, _parent: Any) -> Any:
    from boto3_refresh_session import RefreshableSession

    return RefreshableSession(assume_role_kwargs=request(name))


def boto_session_manager(name: str, parent: Any) -> Any:
    from boto_session_manager.api import BotoSesManager

    manager = BotoSesManager(botocore_session=parent._session)
    return manager.assume_role(ARN + name, role_session_name="me", auto_refresh=True).boto_ses


SESSIONS: dict[str, Callable[[str, Any], Any]] = {
    "aws-assume-role-lib": aws_assume_role_lib,
    "boto3-assume": boto3_assume,
    "boto3-refresh-session": boto3_refresh_session,
    "boto-session-manager": boto_session_manager,
}


def stskit_recipe(name: str) -> Any:
    import os

    from stskit import AssumedRole, Credentials
    from stskit.sources import Static
    from stskit.sts import BotocoreSTS

    sts = BotocoreSTS("us-east-1", endpoint_url=os.environ["AWS_ENDPOINT_URL_STS"])
    return AssumedRole(ARN + name, source=Static(Credentials("AKIAEXAMPLE", "secret")), sts=sts)


# From the start of a process to the first credentials.


def cold_stskit() -> None:
    from stskit import assume

    assume(ARN + "R")


def cold_boto3() -> None:
    import boto3

    boto3.client("sts").assume_role(**request("R"))["Credentials"]


def cold_botocore() -> None:
    from botocore.session import get_session

    client: Any = get_session().create_client("sts")
    client.assume_role(**request("R"))["Credentials"]


def cold_session(peer: str) -> None:
    import boto3

    SESSIONS[peer]("R", boto3.Session()).get_credentials().get_frozen_credentials()


def cold_aiobotocore() -> None:
    bulk_aiobotocore(1, 1)


# Many roles: so many of them, by so many workers; and the peak of memory, in MiB.


def bulk_stskit(number: int, workers: int) -> None:
    from stskit import assume_all
    from stskit.sources import Static

    first = stskit_recipe("R")
    proof = Static(first.source.fetch())
    outcomes = assume_all([f"{ARN}r{n}" for n in range(number)], source=proof, sts=first.sts, workers=workers)
    assert None not in [outcome.credentials for outcome in outcomes]


def bulk_naive(number: int, _workers: int) -> None:
    """The usual code of tutorials: a session and a client for each role, one after the other."""
    import boto3

    for n in range(number):
        boto3.session.Session().client("sts").assume_role(**request(f"r{n}"))["Credentials"]


def bulk_shared(number: int, workers: int) -> None:
    """The code of a careful user of boto3: one client, and a pool of threads."""
    from concurrent.futures import ThreadPoolExecutor

    import boto3
    from botocore.config import Config

    client = boto3.client("sts", config=Config(max_pool_connections=workers))
    with ThreadPoolExecutor(workers) as pool:
        kept = list(pool.map(lambda n: client.assume_role(**request(f"r{n}"))["Credentials"], range(number)))
    assert len(kept) == number


def bulk_session(peer: str, number: int) -> None:
    import boto3

    parent = boto3.Session()
    for n in range(number):
        SESSIONS[peer](f"r{n}", parent).get_credentials().get_frozen_credentials()


def bulk_aiobotocore(number: int, workers: int) -> None:
    import asyncio

    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    async def main() -> None:
        gate = asyncio.Semaphore(workers)
        async with get_session().create_client("sts", config=AioConfig(max_pool_connections=workers)) as client:

            async def one(n: int) -> Any:
                async with gate:
                    return await client.assume_role(**request(f"r{n}"))

            await asyncio.gather(*map(one, range(number)))

    asyncio.run(main())


def peak() -> float:
    import re
    import resource
    import sys

    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    with open("/proc/self/status") as file:  # what getrusage says covers the process before exec as well
        return int(re.findall(r"VmHWM:\s+(\d+)", file.read())[0]) / 1024
