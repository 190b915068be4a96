"""What S3 can answer, and how each failure reads; the server is a small real one on this machine."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.tools.fake_s3 import FakeS3, running

from pgaas.errors import ToolFailed
from pgaas.tools.s3 import PROBE_BODY, PROBE_KEY, Bucket, Keys, Place, split_url


@pytest.fixture
def s3() -> Iterator[FakeS3]:
    with running() as server:
        yield server


def bucket(url: str, name: str = "b") -> Bucket:
    return Bucket(Place(url, "us-east-1", name), Keys("AKIDEXAMPLE", "topsecret"))


def test_a_probe_writes_reads_and_deletes_path_style_without_forced_checksums(s3: FakeS3) -> None:
    bucket(s3.url).probe()
    assert [(method, path) for method, path, _ in s3.asked] == [
        (method, f"/b/{PROBE_KEY}") for method in ("PUT", "GET", "DELETE")
    ]
    assert s3.objects == {}
    headers = {name.lower() for name in s3.asked[0][2]}
    assert not {name for name in headers if name.startswith(("x-amz-checksum", "x-amz-trailer"))}
    assert "AKIDEXAMPLE" in s3.asked[0][2]["Authorization"]


def test_an_answer_that_is_not_what_was_written_is_noticed(s3: FakeS3) -> None:
    opened = bucket(s3.url)
    s3.forgets = True
    s3.objects[PROBE_KEY] = PROBE_BODY[:-1]
    with pytest.raises(ToolFailed, match="something else than was written"):
        opened.probe()


def test_a_missing_bucket_can_be_made_and_made_again(s3: FakeS3) -> None:
    opened = bucket(s3.url, "new")
    assert opened.exists() is False
    assert opened.is_empty("") is True
    opened.create()
    assert opened.exists() is True
    s3.refuse["PUT"] = (409, "BucketAlreadyOwnedByYou")
    opened.create()


def test_only_what_is_below_the_prefix_counts(s3: FakeS3) -> None:
    s3.objects = {"a/x-g2/w": b"1", "a/x/1": b"22", "a/x/22": b"333", "a/x/333": b"4444"}
    opened = bucket(s3.url)
    assert opened.is_empty("a/x/") is False
    assert opened.is_empty("a/x-g3/") is True
    usage = opened.usage("a/x/")
    assert (usage.objects, usage.bytes) == (3, 9)
    assert usage.newest == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=len("a/x/333"))
    assert opened.usage("none/").newest is None


@pytest.mark.parametrize(
    ("code", "name", "says", "advice"),
    [
        (403, "AccessDenied", "may not do this", "read, write and delete"),
        (403, "InvalidAccessKeyId", "access key is unknown", "check the key"),
        (403, "SignatureDoesNotMatch", "does not belong to the access key", "s3Credentials"),
        (403, "RequestTimeTooSkewed", "clock", "NTP"),
        (404, "NoSuchBucket", "no bucket b", "s3Bucket"),
        (301, "PermanentRedirect", "another region", "datacenters.yaml"),
        (418, "Teapot", "Teapot it says", "S3 team"),
    ],
)
def test_each_refusal_says_what_where_and_what_next(
    s3: FakeS3, code: int, name: str, says: str, advice: str
) -> None:
    opened = bucket(s3.url)
    s3.refuse["PUT"] = (code, name)
    with pytest.raises(ToolFailed) as caught:
        opened.probe()
    error = caught.value
    assert says in error.what
    assert error.where == f"{s3.url}/b"
    assert advice in error.next_step
    assert "topsecret" not in f"{error.what}{error.where}{error.next_step}"


def test_a_head_request_has_no_body_to_explain_itself_and_is_still_understood(s3: FakeS3) -> None:
    s3.refuse["HEAD"] = (403, "AccessDenied")
    with pytest.raises(ToolFailed, match="may not do this"):
        bucket(s3.url).exists()


def test_an_endpoint_that_nobody_listens_at() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(ToolFailed, match="cannot be reached") as caught:
        bucket(f"http://127.0.0.1:{port}").exists()
    assert "datacenters.yaml" in caught.value.next_step


def test_a_server_that_speaks_no_tls_or_that_nobody_vouches_for(s3: FakeS3, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="TLS connection to S3 failed"):
        bucket(s3.url.replace("http://", "https://")).exists()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    s3.socket = context.wrap_socket(s3.socket, server_side=True)
    with pytest.raises(ToolFailed, match="TLS connection to S3 failed") as caught:
        bucket(s3.url.replace("http://", "https://")).exists()
    assert "AWS_CA_BUNDLE" in caught.value.next_step


@pytest.mark.parametrize(("url", "name"), [("http://", "b"), ("not a url", "b"), ("http://x", "No Bucket!")])
def test_nonsense_is_no_traceback(url: str, name: str) -> None:
    with pytest.raises(ToolFailed, match="bucket"):
        bucket(url, name).exists()


def test_keys_do_not_show() -> None:
    assert "topsecret" not in repr(Keys("AKIDEXAMPLE", "topsecret"))


def test_a_url_falls_into_bucket_and_prefix() -> None:
    assert split_url("s3://b/a/c/") == ("b", "a/c/")
    assert split_url("s3://b") == ("b", "")


def self_signed(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_a_bucket_is_never_a_host_name() -> None:
    # With an address instead of a name, as above, botocore would not make it one anyway.
    name = {"Bucket": "ic1-backups", "Key": "k"}
    url = bucket("http://s3.example", "ic1-backups")._client.generate_presigned_url("get_object", name)
    assert url.startswith("http://s3.example/ic1-backups/k")
