"""The chart seaweedfs: what it renders, and what the real SeaweedFS makes of that."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.charts.local_infra import named, objects_of, pods, rendered, template
from tests.charts.weed import Weed, config_of

ADMIN = {"accessKey": "admin", "secretKey": "admin123", "port": 8333}
IC1 = {"name": "ic1", "bucket": "ic1-backups", "accessKey": "ic1", "secretKey": "ic1-local-secret"}
IS1 = {"name": "is1", "bucket": "is1-backups", "accessKey": "is1", "secretKey": 'a"b\\c/+= {{ x }}'}
# A client whose keys are in a Secret of its own.
ELSEWHERE = {"name": "io1", "bucket": "io1-backups"}
CLIENTS = [IC1, IS1, ELSEWHERE]


def test_the_shipped_client_has_its_own_keys_which_serve_in_its_own_bucket_only() -> None:
    admin, ic1 = config_of(rendered("seaweedfs"))["identities"]
    assert admin["credentials"] == [{"accessKey": "admin", "secretKey": "admin123"}]
    assert ic1["credentials"] == [{"accessKey": "ic1", "secretKey": "ic1-local-secret"}]
    assert {action.partition(":")[2] for action in ic1["actions"]} == {"ic1-backups"}
    assert named(rendered("seaweedfs"), "Service", "seaweedfs-s3")["spec"]["ports"][0]["nodePort"] == 30333


def test_a_client_without_keys_has_a_bucket_and_is_nobody() -> None:
    objects = objects_of("seaweedfs", clients=CLIENTS)
    assert [each["name"] for each in config_of(objects)["identities"]] == ["admin", "ic1", "is1"]
    (pod,) = pods(objects)
    assert "-bucket=ic1-backups,is1-backups,io1-backups" in pod["containers"][0]["args"]


def test_without_clients_there_is_no_bucket() -> None:
    (pod,) = pods(objects_of("seaweedfs", clients=[]))
    assert not [word for word in pod["containers"][0]["args"] if word.startswith("-bucket")]


def test_a_changed_key_restarts_the_pod_and_a_changed_size_does_not() -> None:
    def checksum(**changed: Any) -> str:
        deployment = named(objects_of("seaweedfs", **changed), "Deployment", "seaweedfs-s3")
        found: str = deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        return found

    before = checksum(clients=CLIENTS)
    assert before == checksum(clients=CLIENTS, storage={"size": "1Gi"})
    assert before != checksum(clients=[{**IC1, "secretKey": "another"}, IS1, ELSEWHERE])
    assert before != checksum(clients=CLIENTS, s3={**ADMIN, "secretKey": "another"})


def test_what_asks_for_no_keys_listens_on_the_pods_loopback_only() -> None:
    (pod,) = pods(rendered("seaweedfs"))
    storage, s3 = pod["containers"]
    assert [word for word in storage["args"] if word.startswith("-ip.bind")] == ["-ip.bind=127.0.0.1"]
    assert s3["args"][1] == "s3"
    policy = named(rendered("seaweedfs"), "NetworkPolicy", "seaweedfs-s3")["spec"]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": "s3"}]}]


def test_the_objects_are_on_the_volume() -> None:
    (pod,) = pods(rendered("seaweedfs"))
    (claim,) = [volume["name"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    (place,) = [
        mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == claim
    ]
    assert [word for word in pod["containers"][0]["args"] if word.startswith("-dir")] == [f"-dir={place}"]


@pytest.mark.parametrize(
    "clients",
    [
        [{**IC1, "bucket": "IC1"}],
        [{**IC1, "bucket": "a,b"}],
        [{"name": "ic1", "bucket": "ic1-backups", "accessKey": "ic1"}],
        [{**IC1, "secretKey": ""}],
        [{**IC1, "actions": ["Admin"]}],
    ],
)
def test_a_client_that_is_none_is_refused(clients: list[Any]) -> None:
    done = template("seaweedfs", clients=clients)
    assert done.returncode != 0
    assert "/clients/0" in done.stderr


# The real SeaweedFS, in the order in which the tests stand.

Client = Any


def client(server: Weed, keys: dict[str, Any]) -> Client:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=keys["accessKey"],
        aws_secret_access_key=keys["secretKey"],
        region_name="us-east-1",
        config=Config(
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def wait_for_buckets(server: Weed, *names: str) -> None:
    """Wait until SeaweedFS has made buckets, which it does once it serves."""

    def probe() -> None:
        found = {each["Name"] for each in client(server, ADMIN).list_buckets()["Buckets"]}
        if lacking := set(names) - found:
            raise LookupError(f"no bucket {', '.join(lacking)}")

    server.until(probe)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("volume")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Weed]:
    with Weed(objects_of("seaweedfs", clients=CLIENTS), folder) as running:
        # Nobody but the chart has asked for them.
        wait_for_buckets(running, *(each["bucket"] for each in CLIENTS))
        yield running


def refused(call: Callable[[], Any]) -> str:
    """Return the word with which S3 refuses a call, or nothing if it does not."""
    from botocore.exceptions import ClientError

    try:
        answer = call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return str(next(iter(answer.get("Errors", [{"Code": ""}])), {}).get("Code"))


def deeds(s3: Client, bucket: str) -> dict[str, Callable[[], Any]]:
    """Return what one may do in a bucket that holds the object `kept`."""
    keys = {"Bucket": bucket, "Key": "kept"}
    return {
        "put": lambda: s3.put_object(Bucket=bucket, Key="other", Body=b"x"),
        "get": lambda: s3.get_object(**keys),
        "head": lambda: s3.head_object(**keys),
        "list": lambda: s3.list_objects_v2(Bucket=bucket),
        "see the bucket": lambda: s3.head_bucket(Bucket=bucket),
        "tag": lambda: s3.put_object_tagging(**keys, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}),
        "copy": lambda: s3.copy_object(Bucket=bucket, Key="copied", CopySource=keys),
        "upload in parts": lambda: s3.create_multipart_upload(Bucket=bucket, Key="parts"),
        "delete": lambda: s3.delete_object(Bucket=bucket, Key="other"),
        "delete many": lambda: s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "copied"}]}),
    }


def others_deeds(s3: Client, own: str, bucket: str) -> dict[str, Callable[[], Any]]:
    """Return what nobody but the admin may do in a bucket, and ways around."""
    public = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", '
        f'"Resource": "arn:aws:s3:::{bucket}/*"}}]}}'
    )
    return {
        "copy out": lambda: s3.copy_object(
            Bucket=own, Key="stolen", CopySource={"Bucket": bucket, "Key": "kept"}
        ),
        "open it": lambda: s3.put_bucket_policy(Bucket=bucket, Policy=public),
        "open it by an ACL": lambda: s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write"),
        "remove it": lambda: s3.delete_bucket(Bucket=bucket),
    }


def test_the_admin_may_do_all_everywhere(server: Weed) -> None:
    admin = client(server, ADMIN)
    for bucket in ("ic1-backups", "is1-backups", "io1-backups"):
        admin.put_object(Bucket=bucket, Key="kept", Body=bucket.encode())
        assert {name: refused(call) for name, call in deeds(admin, bucket).items() if refused(call)} == {}


@pytest.mark.parametrize("keys", [IC1, IS1], ids=lambda keys: keys["name"])
def test_a_client_may_do_in_its_own_bucket_what_backups_take(server: Weed, keys: dict[str, str]) -> None:
    own = client(server, keys)
    assert {name: refused(call) for name, call in deeds(own, keys["bucket"]).items() if refused(call)} == {}
    assert [each["Name"] for each in own.list_buckets()["Buckets"]] == [keys["bucket"]]


@pytest.mark.parametrize(
    ("keys", "bucket"), [(IC1, "is1-backups"), (IS1, "ic1-backups"), (IC1, "io1-backups")]
)
def test_a_client_may_do_nothing_in_anothers(server: Weed, keys: dict[str, str], bucket: str) -> None:
    stranger = client(server, keys)
    tried = {**deeds(stranger, bucket), **others_deeds(stranger, keys["bucket"], bucket)}
    assert {refused(call) for call in tried.values()} <= {"AccessDenied", "403"}
    admin = client(server, ADMIN)
    assert admin.get_object(Bucket=bucket, Key="kept")["Body"].read() == bucket.encode()
    held = admin.list_objects_v2(Bucket=keys["bucket"]).get("Contents", [])
    assert "stolen" not in [each["Key"] for each in held]


def test_a_client_makes_no_bucket_removes_none_and_opens_none(server: Weed) -> None:
    own = client(server, IC1)
    tried = others_deeds(own, "ic1-backups", "ic1-backups")
    tried["make one"] = lambda: own.create_bucket(Bucket="ic1-more")
    tried["make one by writing"] = lambda: own.put_object(Bucket="ic1-more", Key="x", Body=b"x")
    del tried["copy out"]
    assert {refused(call) for call in tried.values()} <= {"AccessDenied"}


def test_a_misspelt_bucket_is_an_error_for_the_admin_too(server: Weed) -> None:
    admin = client(server, ADMIN)
    assert refused(lambda: admin.put_object(Bucket="ic1-bakups", Key="x", Body=b"x")) == "NoSuchBucket"


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"accessKey": "nobody", "secretKey": "x"}, "InvalidAccessKeyId"),
        ({**IC1, "secretKey": IS1["secretKey"]}, "SignatureDoesNotMatch"),
        ({**ADMIN, "secretKey": "admin"}, "SignatureDoesNotMatch"),
    ],
)
def test_who_does_not_know_the_keys_is_nobody(server: Weed, keys: dict[str, Any], code: str) -> None:
    stranger = client(server, keys)
    tried = deeds(stranger, "ic1-backups")
    # An answer without a body has no word for it.
    assert {refused(call) for call in (*tried.values(), stranger.list_buckets)} == {code, "403"}


@pytest.mark.parametrize("path", ["/", "/ic1-backups", "/ic1-backups/kept", "/ic1-backups?policy"])
def test_who_has_no_keys_reads_nothing(server: Weed, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(server.endpoint + path, timeout=5)
    assert caught.value.code == 403


def test_the_port_that_would_take_new_keys_wants_a_certificate_that_nobody_has(server: Weed) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", server.grpc), timeout=10) as plain,
        context.wrap_socket(plain) as connection,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
    ):
        connection.recv(1)


def test_a_restart_keeps_the_data_and_takes_the_new_keys(server: Weed, folder: Path) -> None:
    before = client(server, IC1)
    body = bytes(range(256)) * 40_000
    before.put_object(Bucket="ic1-backups", Key="base/1/data.tar", Body=body)
    server.stop()
    changed = {**IC1, "secretKey": "another"}
    added = {"name": "iq1", "bucket": "iq1-backups", "accessKey": "iq1", "secretKey": "s"}
    with Weed(objects_of("seaweedfs", clients=[changed, IS1, ELSEWHERE, added]), folder) as after:
        assert refused(client(after, IC1).list_buckets) == "SignatureDoesNotMatch"
        own = client(after, changed)
        assert own.get_object(Bucket="ic1-backups", Key="base/1/data.tar")["Body"].read() == body
        own.put_object(Bucket="ic1-backups", Key="base/2/data.tar", Body=body)
        wait_for_buckets(after, added["bucket"])
        assert (
            refused(lambda: client(after, added).put_object(Bucket="iq1-backups", Key="x", Body=b"x")) == ""
        )
        after.stop(kill=True)
    with Weed(objects_of("seaweedfs", clients=[changed]), folder) as killed:
        own = client(killed, changed)
        for key in ("base/1/data.tar", "base/2/data.tar"):
            assert own.get_object(Bucket="ic1-backups", Key=key)["Body"].read() == body
