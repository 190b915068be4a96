"""One S3 bucket: reached path-style, with each failure said in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pgaas.errors import ToolFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 4.0
READ_SECONDS = 15.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PROBE_KEY = ".pgaas-probe"
PROBE_BODY = b"written by pgaas to see whether this bucket can be written; may be deleted\n"
MISSING_BUCKET = ("NoSuchBucket", "404", "NotFound")
MISSING_OBJECT = ("NoSuchKey", "404", "NotFound")
# Refusals of one object: no right to it, encrypted with a key of the client's, moved to cold storage.
WITHHELD = ("AccessDenied", "403", "Forbidden", "InvalidRequest", "InvalidObjectState")

ADVICE = {
    "AccessDenied": ("these credentials may not do this", "give them read, write and delete on the bucket"),
    "AllAccessDisabled": ("the bucket is disabled", "ask the S3 team"),
    "InvalidAccessKeyId": (
        "the access key is unknown to this S3",
        "check the key, and that the endpoint is its own",
    ),
    "SignatureDoesNotMatch": ("the secret key does not belong to the access key", "check s3Credentials"),
    "ExpiredToken": ("the credentials have expired", "fetch new ones"),
    "RequestTimeTooSkewed": (
        "this machine's clock is too far off",
        "set the clock (NTP), then run this again",
    ),
    "BucketAlreadyExists": (
        "somebody else has a bucket of this name",
        "choose another s3Bucket in clients.yaml",
    ),
    "InvalidBucketName": ("this is no valid bucket name", "correct s3Bucket in clients.yaml"),
    "SlowDown": ("S3 asks for fewer requests", "run this again in a while"),
    "ServiceUnavailable": ("S3 is not available", "run this again in a while"),
    "InternalError": ("S3 failed", "run this again in a while"),
    "PermanentRedirect": ("the bucket is in another region", "correct the region in datacenters.yaml"),
    "AuthorizationHeaderMalformed": ("the region is wrong", "correct the region in datacenters.yaml"),
}
SAME = {
    "403": "AccessDenied",
    "Forbidden": "AccessDenied",
    "503": "ServiceUnavailable",
    "500": "InternalError",
}


@dataclass(frozen=True)
class Place:
    """Where a bucket is."""

    endpoint: str
    region: str
    bucket: str

    def __str__(self) -> str:
        return f"{self.endpoint}/{self.bucket}"


@dataclass(frozen=True)
class Keys:
    """Credentials; they never show in a repr."""

    access: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Usage:
    """What lies below a prefix: how many objects, how many bytes, and when the newest was written."""

    objects: int
    bytes: int
    newest: datetime | None


@dataclass(frozen=True)
class Entry:
    """One object of a listing."""

    key: str
    bytes: int
    written: datetime


@dataclass(frozen=True)
class Listing:
    """What stands directly below a prefix, each part in the order of its keys.

    `at` is the time of S3's own clock, by which it says when an object was written.
    """

    folders: tuple[str, ...]
    entries: tuple[Entry, ...]
    at: datetime


class Unreadable(ToolFailed):
    """S3 has the object, and does not give it out: not to these credentials, or not without its key."""


class Bucket:
    """One bucket with one pair of keys; every method raises ToolFailed with what, where and what next."""

    def __init__(self, place: Place, keys: Keys) -> None:
        """Make the client, without connecting."""
        self.place = place
        with _translated(place, "open"):
            self._client = _client(place, keys)

    def exists(self) -> bool:
        """Return whether the bucket is there."""
        import botocore.exceptions

        with _translated(self.place, "look at"):
            try:
                self._client.head_bucket(Bucket=self.place.bucket)
            except botocore.exceptions.ClientError as error:
                if _code(error) in MISSING_BUCKET:
                    return False
                raise
        return True

    def create(self) -> None:
        """Create the bucket; one that is ours already is fine."""
        with _translated(self.place, "create"):
            try:
                self._client.create_bucket(Bucket=self.place.bucket)
            except self._client.exceptions.BucketAlreadyOwnedByYou:
                return

    def drop(self) -> None:
        """Delete the bucket, which must be empty; one that is not there is fine."""
        import botocore.exceptions

        with _translated(self.place, "delete"):
            try:
                self._client.delete_bucket(Bucket=self.place.bucket)
            except botocore.exceptions.ClientError as error:
                if _code(error) not in MISSING_BUCKET:
                    raise

    def names(self) -> list[str]:
        """Return the names of all buckets that these keys may see, this one or not."""
        with _translated(self.place, "list"):
            return sorted(bucket["Name"] for bucket in self._client.list_buckets().get("Buckets", []))

    def probe(self) -> None:
        """Write, read and delete a small object."""
        name = {"Bucket": self.place.bucket, "Key": PROBE_KEY}
        with _translated(self.place, "write an object to"):
            self._client.put_object(Body=PROBE_BODY, Bucket=name["Bucket"], Key=name["Key"])
        with _translated(self.place, "read an object of"):
            read = self._client.get_object(Bucket=name["Bucket"], Key=name["Key"])["Body"].read()
        if read != PROBE_BODY:
            raise ToolFailed(
                "S3 gave back something else than was written",
                where=f"{self.place}/{PROBE_KEY}",
                next_step="check for a proxy or cache between this machine and S3",
            )
        with _translated(self.place, "delete an object of"):
            self._client.delete_object(Bucket=name["Bucket"], Key=name["Key"])

    def is_empty(self, prefix: str) -> bool:
        """Return whether no object's key begins with the prefix; a bucket that is not there is empty."""
        import botocore.exceptions

        with _translated(self.place, "list"):
            try:
                found = self._client.list_objects_v2(Bucket=self.place.bucket, Prefix=prefix, MaxKeys=1)
            except botocore.exceptions.ClientError as error:
                if _code(error) in MISSING_BUCKET:
                    return True
                raise
        return not found.get("Contents")

    def listing(self, prefix: str) -> Listing:
        """Return the folders and objects directly below a prefix, which ends in a slash or begins a name.

        Folders are whole prefixes with their slash. Some servers name folders whose objects are all gone.
        """
        folders: list[str] = []
        entries: list[Entry] = []
        at: datetime | None = None
        with _translated(self.place, "list"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.place.bucket, Prefix=prefix, Delimiter="/"):
                at = at or _date(page)
                folders += [each["Prefix"] for each in page.get("CommonPrefixes", [])]
                entries += [
                    Entry(each["Key"], each["Size"], _utc(each["LastModified"]))
                    for each in page.get("Contents", [])
                ]
        return Listing(tuple(folders), tuple(entries), at or datetime.now(UTC))

    def read(self, key: str, limit: int) -> bytes | None:
        """Return a small object's content, or None if there is none.

        Raise Unreadable if S3 refuses this one object, or if it is larger than `limit` bytes.
        """
        import botocore.exceptions

        with _translated(self.place, "read an object of"):
            try:
                body = self._client.get_object(Bucket=self.place.bucket, Key=key)["Body"]
                with body:
                    content = body.read(limit + 1)
            except botocore.exceptions.ClientError as error:
                if _code(error) in MISSING_OBJECT:
                    return None
                if _code(error) in WITHHELD or _code(error).startswith("KMS"):
                    refused = _refused(self.place, "read an object of", error)
                    raise Unreadable(refused.what, where=key, next_step=refused.next_step) from error
                raise
        if len(content) > limit:
            raise Unreadable(f"the object is larger than {limit} bytes", where=key)
        return content

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        with _translated(self.place, "write an object to"):
            self._client.put_object(Bucket=self.place.bucket, Key=key, Body=content)

    def remove(self, key: str) -> None:
        """Delete an object; one that is not there is fine."""
        with _translated(self.place, "delete an object of"):
            self._client.delete_object(Bucket=self.place.bucket, Key=key)

    def usage(self, prefix: str) -> Usage:
        """Count what lies below a prefix."""
        objects = size = 0
        newest: datetime | None = None
        with _translated(self.place, "list"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.place.bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    objects += 1
                    size += entry["Size"]
                    written = entry["LastModified"]
                    newest = written if newest is None or written > newest else newest
        return Usage(objects, size, newest)


def split_url(url: str) -> tuple[str, str]:
    """Return the bucket and the key prefix of an s3:// URL."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return bucket, prefix


@cache
def _client(place: Place, keys: Keys) -> S3Client:
    """Return the client for a bucket, the same one each time: making one takes longer than most requests."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"max_attempts": 2, "mode": "standard"},
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=place.endpoint,
        region_name=place.region,
        aws_access_key_id=keys.access,
        aws_secret_access_key=keys.secret,
        config=config,
    )


@contextmanager
def _translated(place: Place, action: str) -> Iterator[None]:
    """Let nothing but ToolFailed out of the block."""
    import botocore.exceptions as failures

    try:
        yield
    except failures.ClientError as error:
        raise _refused(place, action, error) from error
    except failures.SSLError as error:
        raise ToolFailed(
            f"the TLS connection to S3 failed: {_last_words(error)}",
            where=str(place),
            next_step="check the endpoint's certificate; AWS_CA_BUNDLE names a file with a CA of one's own",
        ) from error
    except (failures.ConnectTimeoutError, failures.ReadTimeoutError) as error:
        raise ToolFailed(
            f"S3 did not answer in time: {_last_words(error)}",
            where=str(place),
            next_step="check that this machine may reach the endpoint (VPN, proxy, firewall)",
        ) from error
    except (failures.ConnectionError, failures.HTTPClientError) as error:
        raise ToolFailed(
            f"S3 cannot be reached: {_last_words(error)}",
            where=str(place),
            next_step="check the endpoint in datacenters.yaml, and that this machine may reach it",
        ) from error
    except (failures.BotoCoreError, ValueError) as error:
        raise ToolFailed(
            f"cannot {action} the bucket: {error}",
            where=str(place),
            next_step="check s3Bucket in clients.yaml, and the endpoint and region in datacenters.yaml",
        ) from error


def _refused(place: Place, action: str, error: Any) -> ToolFailed:
    code = _code(error)
    if code in MISSING_BUCKET:
        return ToolFailed(
            f"there is no bucket {place.bucket}",
            where=str(place),
            next_step="create it, or correct s3Bucket in clients.yaml",
        )
    why, next_step = ADVICE.get(SAME.get(code, code), (_message(error) or "S3 refused", "ask the S3 team"))
    return ToolFailed(f"cannot {action} the bucket: {why} ({code})", where=str(place), next_step=next_step)


def _date(answer: Any) -> datetime | None:
    """Return when S3 answered, or None if it does not say."""
    from email.utils import parsedate_to_datetime

    try:
        said = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def _utc(time: datetime) -> datetime:
    """Return a time in UTC; the year 1, which some servers give where they know none, is 1970."""
    return time.astimezone(UTC) if time.year > EPOCH.year else EPOCH


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _message(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def _last_words(error: Exception) -> str:
    """Return botocore's message in one line; it ends in the reason of the library below."""
    return " ".join(str(error).split())
