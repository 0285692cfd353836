"""Access to object stores: one set of settings, retries and errors for boto3 and pyarrow.

Credentials, region, endpoint and addressing come from the standard AWS chain: environment, then the profile in
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
"""Attempts per request. boto3 and pyarrow both retry with growing pauses of at most 20 s: after throttling, after a
5xx, and after a connection that was refused or lost before the response began."""

MULTIPART_BYTES = 64 * 2**20
"""Larger content is uploaded in parts of this size, several in parallel."""

LOST_RACE = ("PreconditionFailed", "ConditionalRequestConflict")
"""S3 error codes of a conditional PUT whose condition failed."""

MEANINGS = {
    "NoSuchBucket": "the bucket does not exist; create it or correct the URI",
    "NoSuchKey": "no such file",
    "404": "no such file",
    "AccessDenied": "access denied; these credentials lack the permission",
    "403": "access denied; these credentials lack the permission",
    "InvalidAccessKeyId": "the store does not know this key; check AWS_ACCESS_KEY_ID or the profile",
    "SignatureDoesNotMatch": "wrong secret key; check AWS_SECRET_ACCESS_KEY or the profile",
    "ExpiredToken": "the session token has expired; renew it and start again",
    "ExpiredTokenException": "the session token has expired; renew it and start again",
    "InvalidToken": "the session token is not valid; check AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it and start again",
    "SlowDown": f"the store asked to slow down, {ATTEMPTS} times; start again with fewer workers",
    "ServiceUnavailable": f"the store was not available, {ATTEMPTS} times; start again later",
}
"""Explanation and fix by S3 error code
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""


def call(uri: str, what: Callable[[Any, dict[str, str]], Result]) -> Result:
    """Return what(client, {"Bucket": ..., "Key": ...}); repeat it if the response breaks off.

    Raises:
        ConflictError: if the condition of a PUT failed.
        DataError: if the store, the credentials or the URI are at fault; one line.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return _until_complete(lambda: what(client(), {"Bucket": bucket, "Key": key}))
    except ConflictError:
        raise
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in LOST_RACE:
            raise ConflictError(f"{uri}: was changed by another writer; read it again") from None
        raise DataError(f"{uri}: {MEANINGS.get(code, error)}") from None
    except (Boto3Error, BotoCoreError, ValueError) as error:  # ValueError: the endpoint is no URL
        raise DataError(f"{uri}: {error}") from None


def _until_complete(request: Callable[[], Result]) -> Result:
    """Repeat a request, with growing pauses, while its response breaks off; botocore retries only before it begins."""
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

    for attempt in range(ATTEMPTS - 1):
        try:
            return request()
        except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
            time.sleep(min(20, 0.1 * 2**attempt))
    return request()


def put(uri: str, content: bytes) -> None:
    """Write an object, in parts if it is large."""
    from boto3.s3.transfer import TransferConfig

    parts = TransferConfig(multipart_threshold=MULTIPART_BYTES, multipart_chunksize=MULTIPART_BYTES)
    call(uri, lambda client, where: client.upload_fileobj(io.BytesIO(content), *where.values(), Config=parts))


def put_if(uri: str, content: bytes, expected_etag: str | None) -> None:
    """Write an object if its ETag is still `expected_etag` (None: if it does not exist).

    If the response to a PUT is lost, its retry finds the object that the PUT itself wrote; this is not a conflict.
    A store without conditional overwriting (OpenStack Swift) gets a HEAD and then a PUT, which is not atomic.

    Raises:
        ConflictError: if another writer wrote different content.
    """

    def write(client: Any, where: dict[str, str]) -> None:
        try:
            client.put_object(Body=content, **condition, **where)
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NotImplemented":
                raise
            if client.head_object(**where)["ETag"] != expected_etag:
                raise ConflictError(f"{uri}: was changed by another writer; read it again") from None
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
    """Return this process's boto3 client. Stores other than AWS are addressed by path, as in pyarrow."""
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
    """Return whether an endpoint belongs to AWS."""
    return endpoint_url.rstrip("/").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _addressing(session: Any) -> str | None:
    """Return the addressing style of the user's profile."""
    style: str | None = (session._session.get_scoped_config().get("s3") or {}).get("addressing_style")
    return style
