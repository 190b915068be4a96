from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.kube.authorities import NOW, ca_pem, new_key, private_pem

from pgaas.errors import KubernetesError
from pgaas.kube.trust import days_left, pem_of, read_authorities, unique

ONE, TWO = ca_pem("one"), ca_pem("two")


def read(text: str) -> list[str]:
    return [authority.subject for authority in read_authorities(text, "here")]


def test_certificates_are_read_in_their_order_and_each_once():
    assert read(TWO + ONE + TWO) == ["CN=two", "CN=one"]
    assert read("") == read(" \n") == []


def test_the_text_is_the_same_for_the_same_certificates():
    untidy = f"subject=CN=one\n\n{ONE}\r\n# and\n{TWO}".replace("\n", "\r\n")
    assert pem_of(read_authorities(untidy, "here")) == ONE + TWO
    assert pem_of([]) == ""


def test_what_is_shown_of_an_authority():
    (authority,) = read_authorities(ca_pem("name", days=100), "here")
    assert authority.subject == "CN=name"
    assert authority.not_after == NOW + timedelta(days=100)
    assert len(authority.fingerprint) == 64
    assert int(authority.fingerprint, 16)
    assert days_left(authority, NOW) == 100
    assert days_left(authority, NOW + timedelta(days=99, hours=1)) == 0
    assert days_left(authority, NOW + timedelta(days=100, seconds=1)) == -1


def test_a_renewed_certificate_of_the_same_key_is_the_same_authority_and_the_longer_one_counts():
    key = new_key()
    old, new = ca_pem("ca", key=key, days=10), ca_pem("ca", key=key, days=20)
    for text in (old + TWO + new, new + TWO + old):
        first, second = read_authorities(text, "here")
        assert (first.pem, second.pem) == (new, TWO)


def test_another_key_or_another_name_is_another_authority():
    key = new_key()
    authorities = [
        *read_authorities(ca_pem("ca", key=key), "here"),
        *read_authorities(ca_pem("ca"), "here"),
        *read_authorities(ca_pem("other", key=key), "here"),
    ]
    assert len(unique(authorities)) == len({each.identity for each in authorities}) == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (ONE + private_pem(new_key()), "private key"),
        (private_pem(new_key()), "private key"),
        ("-----BEGIN EC PRIVATE KEY-----\ncut off", "private key"),
        (ca_pem("leaf", ca=False), "CN=leaf is no CA's"),
        (ca_pem("leaf", ca=None), "CN=leaf is no CA's"),
        (ca_pem("leaf", cert_sign=False), "CN=leaf is no CA's"),
        (ONE + ca_pem("leaf", ca=False), "CN=leaf is no CA's"),
        (ONE[:-40], "cut off"),
        (ONE + TWO[: len(TWO) // 2], "cut off"),
        ("words", "is no PEM"),
        (ONE.replace(ONE.splitlines()[2], "AAAA"), "cannot be read"),
        (ONE.replace("CERTIFICATE", "X509 CRL"), "x509 crl"),
        (ONE + ONE.replace("CERTIFICATE", "CERTIFICATE REQUEST"), "certificate request"),
    ],
)
def test_what_is_no_ca_certificate_is_refused_with_the_place(text: str, why: str):
    with pytest.raises(KubernetesError) as caught:
        read_authorities(text, "ca.crt of Secret x")
    assert "ca.crt of Secret x cannot be trusted" in caught.value.what
    assert why in caught.value.what


def test_a_ca_without_key_usage_may_sign():
    assert read(ca_pem("old", cert_sign=None)) == ["CN=old"]
