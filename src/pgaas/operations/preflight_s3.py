"""The preflight checks of S3: the credentials, the bucket, and that a new cluster's archive is empty."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager

from pgaas.config.generations import next_generation
from pgaas.config.naming import archive_server_name
from pgaas.errors import KubernetesError, KubernetesForbidden, RefusedAsUnsafe, ToolFailed
from pgaas.kube.client import Api
from pgaas.kube.resources import SECRET, Object, dig
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject
from pgaas.tools.s3 import Bucket, Keys

ACCESS, SECRET_KEY = "accessKey", "secretKey"
REFUSED = ("AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch")
INSTALL = "pgaas infra install: it gives each local client its bucket and its keys"


def bucket(subject: Subject, api: Api, live: Object | None, state: str, *, dry: bool) -> Iterator[Row]:
    """Check the credentials, that they can write, read and delete, and that the archive is still unused.

    A local bucket that is missing is made. `dry` only looks.
    """
    try:
        keys = s3_keys(subject, api, state)
    except KubernetesForbidden as error:
        yield Row("s3", "skipped", f"the Secret may not be read: {error.what}", error.next_step)
        return
    except KubernetesError as error:
        yield Row("s3 credentials", "failed", error.what, error.next_step)
        return
    opened = Bucket(subject.place, keys)
    with _advised(subject):
        there = opened.exists()
    if not there:
        if not subject.values.s3.create_secret:
            yield Row(
                "s3",
                "failed",
                f"there is no bucket {subject.place}",
                "create it, or correct s3Bucket",
                ToolFailed,
            )
            return
        if dry:
            yield Row("s3", "ok", f"{subject.place} will be made")
            return
        with _advised(subject):
            opened.create()
    if not dry:
        with _advised(subject):
            opened.probe()
    yield Row("s3", "ok", f"{subject.place} is there" if dry else f"{subject.place} can be written")
    if live is None:
        yield _empty(subject, opened)


@contextmanager
def _advised(subject: Subject) -> Iterator[None]:
    """Say of a local client's keys, if they are refused, that the installation makes them and the bucket."""
    try:
        yield
    except ToolFailed as error:
        if subject.inline_keys and any(f"({code})" in error.what for code in REFUSED):
            raise ToolFailed(error.what, where=error.where, next_step=INSTALL) from error
        raise


def open_early(subject: Subject) -> None:
    """Load the library, and make the client if the keys are known without asking Kubernetes.

    Raise ToolFailed for a place that can be none; the check itself tells of it.
    """
    import boto3  # noqa: F401 - for its loading

    if subject.inline_keys:
        Bucket(subject.place, subject.inline_keys)


def archive_alone(subject: Subject, api: Api, state: str) -> Iterator[Row]:
    """Check that a new cluster's archive is unused, where nothing else of S3 is to be checked.

    An archive that cannot be looked at is only warned of: whoever leaves the checks of S3 out may have no way
    to it. The operator refuses a used one all the same, but only after minutes.
    """
    try:
        yield _empty(subject, Bucket(subject.place, s3_keys(subject, api, state)))
    except (ToolFailed, KubernetesError) as error:
        yield Row("archive", "warning", f"not known to be unused: {error.what}", error.next_step)


def s3_keys(subject: Subject, api: Api, state: str = "Active") -> Keys:
    """Return the keys from the configuration (local), or from the Secret in the client's namespace.

    Raise KubernetesError if the Secret is missing or does not hold them.
    """
    if subject.inline_keys:
        return subject.inline_keys
    name = subject.values.s3.secret_name
    where = f"Secret {subject.namespace}/{name}"
    found = api.get(SECRET, name, subject.namespace) if state else None
    if found is None:
        raise KubernetesError(
            f"the {where} is missing",
            where=where,
            next_step=f"sync it from Vault (keys {ACCESS}, {SECRET_KEY}) into namespace {subject.namespace}",
        )
    try:
        access, secret = (
            base64.b64decode(dig(found, "data", key, default=""), validate=True).decode()
            for key in (ACCESS, SECRET_KEY)
        )
    except (binascii.Error, UnicodeDecodeError):
        access = secret = ""
    if not access or not secret:
        raise KubernetesError(
            f"the {where} does not hold {ACCESS} and {SECRET_KEY}",
            where=where,
            next_step="correct what syncs it; CloudNativePG and pgaas read these two keys",
        )
    return Keys(access, secret)


def _empty(subject: Subject, opened: Bucket) -> Row:
    prefix = f"{subject.archive_prefix}{subject.server_name}/"
    if opened.is_empty(prefix):
        return Row("archive", "ok", f"{subject.server_name} is unused")
    generation = next_generation(subject.root, subject.target)
    return Row(
        "archive",
        "failed",
        f"s3://{subject.place.bucket}/{prefix} already holds a former cluster's archive, and a new one would "
        'be refused ("Expected empty archive")',
        f"{subject.command('create')} --next-generation: it archives as "
        f"{archive_server_name(subject.target, generation)}, and writes archiveGenerations to clients.yaml",
        RefusedAsUnsafe,
    )


def unused_generation(subject: Subject, api: Api, state: str) -> int:
    """Return the next generation whose archive does not exist yet."""
    opened = Bucket(subject.place, s3_keys(subject, api, state))
    generation = next_generation(subject.root, subject.target)
    while not opened.is_empty(f"{subject.archive_prefix}{archive_server_name(subject.target, generation)}/"):
        generation += 1
    return generation
