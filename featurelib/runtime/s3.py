"""How this project speaks to object stores: one set of settings, retries and errors for boto3 and for pyarrow.

Credentials, region, endpoint and addressing are the standard AWS chain's: environment, then the profile in
~/.aws/config (`endpoint_url`, `region`, `s3 = addressing_style = ...`), then the machine's role.
"""

import functools
import io
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow.fs as pafs

from featurelib.errors import ConflictError, DataError

Result = TypeVar("Result")

ATTEMPTS = 8
"""Of every request. boto3 and pyarrow both wait longer from one to the next, 20 s at most, and ask again after a
throttling, a 5xx, and a connection that was refused or lost before the answer began."""

MULTIPART_BYTES = 64 * 2**20
"""Content from this size on is sent in parts of it, several at once."""

LOST_RACE = ("PreconditionFailed", "ConditionalRequestConflict")
"""How S3 says that a conditional PUT found another file than it expected."""

MEANINGS = {
    "NoSuchBucket": "the bucket does not exist; create it or correct the URI",
    "NoSuchKey": "no such file",
    "404": "no such file",
    "AccessDenied": "access denied; these credentials may not do this here",
    "403": "access denied; these credentials may not do this here",
    "InvalidAccessKeyId": "the store does not know this key; check AWS_ACCESS_KEY_ID or the profile",
    "SignatureDoesNotMatch": "wrong secret key; check AWS_SECRET_ACCESS_KEY or the profile",
    "ExpiredToken": "the session token has expired; renew it and start again",
    "ExpiredTokenException": "the session token has expired; renew it and start again",
    "InvalidToken": "the session token is not valid; check AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it and start again",
    "SlowDown": f"the store asked to slow down, {ATTEMPTS} times; start again with fewer workers",
    "ServiceUnavailable": f"the store was not available, {ATTEMPTS} times; start again later",
}
"""What the codes of S3's errors mean to a user
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""


def call(uri: str, what: Callable[[Any, dict[str, str]], Result]) -> Result:
    """Return what(client, {"Bucket": ..., "Key": ...}); an answer that breaks off in the middle is asked for again.

    Raises:
        ConflictError: if a conditional PUT found another file.
        DataError: in one line that says what is wrong with the store, the credentials or the URI.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return _until_whole(lambda: what(client(), {"Bucket": bucket, "Key": key}))
    except ConflictError:
        raise
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in LOST_RACE:
            raise ConflictError(f"{uri}: was written by somebody else meanwhile") from None
        raise DataError(f"{uri}: {MEANINGS.get(code, error)}") from None
    except (Boto3Error, BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise DataError(f"{uri}: {error}") from None


def _until_whole(ask: Callable[[], Result]) -> Result:
    """Ask again, with growing pauses, while an answer breaks off: botocore itself retries only until it begins."""
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

    for attempt in range(ATTEMPTS - 1):
        try:
            return ask()
        except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
            time.sleep(min(20, 0.1 * 2**attempt))
    return ask()


def put(uri: str, content: bytes) -> None:
    """Write an object whole, in parts if it is large."""
    from boto3.s3.transfer import TransferConfig

    parts = TransferConfig(multipart_threshold=MULTIPART_BYTES, multipart_chunksize=MULTIPART_BYTES)
    call(uri, lambda client, where: client.upload_fileobj(io.BytesIO(content), *where.values(), Config=parts))


def put_if(uri: str, content: bytes, expected_etag: str | None) -> None:
    """Write an object whole if it is still the one of an ETag (None: if there is none).

    A PUT whose answer was lost is sent again and then meets what it wrote itself: that is no conflict. A store that
    knows no conditional overwriting (OpenStack Swift) is asked first and written then, which is no lock.

    Raises:
        ConflictError: if somebody else wrote something else meanwhile.
    """

    def write(client: Any, where: dict[str, str]) -> None:
        try:
            client.put_object(Body=content, **condition, **where)
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NotImplemented":
                raise
            if client.head_object(**where)["ETag"] != expected_etag:
                raise ConflictError(f"{uri}: was written by somebody else meanwhile") from None
            client.put_object(Body=content, **where)

    condition = {"IfMatch": expected_etag} if expected_etag else {"IfNoneMatch": "*"}
    try:
        call(uri, write)
    except ConflictError:
        if get(uri) != content:
            raise


def get(uri: str) -> bytes:
    """Return an object's content."""
    return call(uri, lambda client, where: bytes(client.get_object(**where)["Body"].read()))


@functools.cache
def client() -> Any:
    """Return this process's boto3 client. A store of one's own is addressed by path, as pyarrow does."""
    import boto3
    from botocore.config import Config

    session = boto3.Session()
    retries = {"mode": "adaptive", "max_attempts": ATTEMPTS}
    found = session.client("s3", config=Config(retries=retries))
    if is_aws(found.meta.endpoint_url) or _addressing(session):
        return found
    return session.client("s3", config=Config(retries=retries, s3={"addressing_style": "path"}))


def arrow_filesystem() -> pafs.S3FileSystem:
    """Return pyarrow's file system with the settings of the client."""
    import boto3

    meta = client().meta
    return pafs.S3FileSystem(
        endpoint_override=None if is_aws(meta.endpoint_url) else meta.endpoint_url,
        region=meta.region_name,
        force_virtual_addressing=_addressing(boto3.Session()) == "virtual",
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )


def is_aws(endpoint_url: str) -> bool:
    """Whether an endpoint is Amazon's own."""
    return endpoint_url.rstrip("/").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _addressing(session: Any) -> str | None:
    """Return the addressing style that the user's profile asks for."""
    style: str | None = (session._session.get_scoped_config().get("s3") or {}).get("addressing_style")
    return style
