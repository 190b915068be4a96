"""What pgaas adds to a Corefile comes out again, and not a byte of the rest changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaas.kube.corefile import (
    BEGIN,
    END,
    Alias,
    CorefileNotUnderstood,
    aliases,
    parse,
    with_alias,
    without_alias,
)

KUBEADM = """.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
    }
    loop
    reload
    loadbalance
}
"""
K3S = KUBEADM.replace("    loadbalance\n", "    import /etc/coredns/custom/*.override\n") + (
    "import /etc/coredns/custom/*.server"
)


def alias(ins: str = "ic1", ttl: int = 5) -> Alias:
    return Alias(f"primary.{ins}-local.pgaas.local", "kube-system", f"pgaas-{ins}-local", f"{ins}-local", ttl)


def test_a_block_of_its_own_answers_for_the_alias() -> None:
    text = with_alias(KUBEADM, alias())
    assert text == (
        f"""{BEGIN}
primary.ic1-local.pgaas.local:53 {{
    errors
    rewrite name exact primary.ic1-local.pgaas.local. """
        """pgaas-ic1-local.kube-system.svc.primary.ic1-local.pgaas.local. answer auto
    kubernetes primary.ic1-local.pgaas.local {
        labels pgaas.io/alias=ic1-local
        ttl 5
    }
}
"""
        f"{END}\n{KUBEADM}"
    )
    assert with_alias(text, alias()) == text
    assert aliases(text) == ["primary.ic1-local.pgaas.local"]
    assert without_alias(text, alias().fqdn) == KUBEADM
    assert without_alias(KUBEADM, alias().fqdn) == KUBEADM


def test_another_ttl_replaces_the_block_and_only_it() -> None:
    text = with_alias(with_alias(KUBEADM, alias("ic1")), alias("ic2"))
    changed = with_alias(text, alias("ic2", ttl=7))
    assert changed == text.replace("ttl 5\n    }\n}\n# END", "ttl 7\n    }\n}\n# END")
    assert changed != text


BLOCKS = st.sampled_from(
    [
        KUBEADM,
        KUBEADM.replace("\n", "\r\n"),
        K3S,
        KUBEADM.rstrip("\n"),
        KUBEADM.replace(".:53", "dns://.:1053"),
        KUBEADM.replace(".:53 {", '"." {'),
    ]
)
LINES = st.lists(
    st.sampled_from(
        [
            "",
            "# }",
            "#{ comment",
            "\t",
            "(snippet) {\n  log # }\n}",
            'example.org:53,\nexample.net {\n hosts {\n  10.0.0.1 "a\\"b }" {\n }\n }\n}',
            "import *.server # }",
            "stub.test { forward . 10.0.0.53 \n}",
        ]
    ),
    max_size=5,
)
ORIGINALS = st.builds(
    lambda before, block, after: (
        "".join(f"{line}\n" for line in before) + block + "".join(f"\n{line}" for line in after)
    ),
    LINES,
    BLOCKS,
    LINES,
)


@given(ORIGINALS, st.permutations(["ic1", "ic2", "ab", "zz"]), st.permutations(["ic1", "ic2", "ab", "zz"]))
def test_any_corefile_survives_the_round_trip(original: str, added: list[str], removed: list[str]) -> None:
    text = original
    for ins in added:
        text = with_alias(text, alias(ins))
        assert text.endswith(original)
    assert aliases(text) == sorted(alias(ins).fqdn for ins in added)
    served = {name for block in parse(text) for name in block.names}
    assert {alias(ins).fqdn for ins in added} <= served
    # In which order they came does not show.
    again = original
    for ins in removed:
        again = with_alias(again, alias(ins))
    assert again == text
    for ins in removed:
        text = without_alias(text, alias(ins).fqdn)
    assert text == original


@given(st.text())
def test_any_text_is_either_refused_or_kept(text: str) -> None:
    try:
        changed = with_alias(text, alias())
    except CorefileNotUnderstood:
        return
    assert changed.endswith(text)


def test_the_port_of_the_main_block_is_used() -> None:
    for key, ours in ((".:1053", ":1053 {"), (".", " {"), ("dns://.:53", ":53 {")):
        text = with_alias(KUBEADM.replace(".:53 {", f"{key} {{"), alias())
        assert text.splitlines()[1] == f"primary.ic1-local.pgaas.local{ours}"


OURS = with_alias(KUBEADM, alias())
REFUSED = {
    "no block with kubernetes": (KUBEADM.replace("kubernetes cluster", "forward cluster"), "no server block"),
    "no reload": (KUBEADM.replace("    reload\n", ""), "no reload plugin"),
    "reload in a comment": (KUBEADM.replace("    reload\n", "    # reload\n"), "no reload plugin"),
    "reload in a plugin": (KUBEADM.replace("    reload\n", "    log {\n reload\n }\n"), "no reload plugin"),
    "not closed": (KUBEADM.rstrip().removesuffix("}"), "not closed"),
    "closed twice": (KUBEADM + "}\n", "line 23: } is not expected"),
    "without braces": ("errors\nkubernetes cluster.local\nreload\n", "not closed"),
    "a quotation mark": (KUBEADM + '"a', "a quotation mark is not closed"),
    "somebody else's": (KUBEADM + "Primary.ic1-local.pgaas.local.:53 {\n}\n", "block answers"),
    "bind": (KUBEADM.replace("errors", "bind 169.254.20.10"), "its main block uses bind"),
    "tls": (KUBEADM.replace(".:53", "tls://.:853"), "its main block uses tls://.:853"),
    "no end": (OURS.replace(f"{END}\n", ""), "were changed"),
    "no begin": (OURS.replace(f"{BEGIN}\n", ""), "were changed"),
    "twice": (OURS.replace(KUBEADM, OURS), "were changed"),
    "end at the end": (KUBEADM + OURS.removesuffix("\n" + KUBEADM), "were changed"),
    "another begin": (OURS.replace(BEGIN, "# BEGIN pgaas"), "were changed"),
    "a comment inside": (OURS.replace(f"{BEGIN}\n", f"{BEGIN}\n# mine\n"), "changed by hand"),
    "a comment at its end": (OURS.replace(END, f"# mine\n{END}"), "changed by hand"),
    "two keys inside": (OURS.replace("pgaas.local:53 {", "pgaas.local:53 b {"), "changed by hand"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_understood_is_left_alone(what: str) -> None:
    text, message = REFUSED[what]
    with pytest.raises(CorefileNotUnderstood, match=message):
        with_alias(text, alias())


def test_a_name_that_dns_cannot_hold_is_refused() -> None:
    long = ".".join(["a" * 60] * 4)
    with pytest.raises(CorefileNotUnderstood, match="is no name that DNS holds"):
        with_alias(KUBEADM, Alias(long, "kube-system", "pgaas-x", "x", 5))
    with pytest.raises(CorefileNotUnderstood, match="cannot be an alias"):
        with_alias(KUBEADM, Alias("a b", "kube-system", "pgaas-x", "x", 5))
