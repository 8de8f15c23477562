"""Certificates: what is refused however it is signed, and renewal without anybody's help."""
import ssl

import pytest

from support import certificates as forge
from support import processes
from support.certificates import days
from support.wire import CLOSE, HELLO, Peer, tls_context

KEY_FILES = ("ca.der", "cert.der", "key.der")


def identity_of(cluster):
    return forge.describe(cluster.cli.context_dir())


def pose(cluster, tmp_path, certificate, key):
    """A directory with these credentials, for wire.Peer."""
    directory = tmp_path / "pose"
    directory.mkdir(exist_ok=True)
    (directory / "ca.der").write_bytes((cluster.cli.context_dir() / "ca.der").read_bytes())
    (directory / "cert.der").write_bytes(certificate)
    (directory / "key.der").write_bytes(key)
    return directory


def answer(cluster, directory, role="user"):
    """What the controller says to these credentials: "welcome", a close code, or "refused"."""
    try:
        with Peer(cluster.address, directory) as peer:
            got = peer.hello(role)
    except (ssl.SSLError, ConnectionError):
        return "refused"
    if got is None:
        return "refused"
    return "welcome" if got[0] == HELLO else got[3]["code"]


@pytest.fixture(scope="module")
def one():
    from support.cluster import Cluster
    with Cluster(nodes=0) as cluster:
        cluster.join("n1")  # enrolled, and never started: the tests speak for it
        yield cluster


def test_the_real_certificate_is_welcome(one):
    assert answer(one, one.cli.context_dir()) == "welcome"
    assert answer(one, one.nodes["n1"].data / "net", "node") == "welcome"


def test_another_authority_with_identical_names_is_refused(one, tmp_path):  # FAULTS L6
    name, uri = identity_of(one)
    other = forge.new_ca(tmp_path, uri.split("/")[2])
    key = forge.new_key()
    leaf = forge.issue(other, key, name, [f"URI:{uri}"])
    assert answer(one, pose(one, tmp_path, leaf, key)) == "refused"


@pytest.mark.parametrize("case", ["no san", "two uris", "wildcard", "dns only", "another cluster",
                                  "a foreign scheme", "NUL by another name", "64 KiB name"])
def test_a_certificate_whose_name_is_not_exactly_ours_is_refused(one, tmp_path, case):  # FAULTS L16
    name, uri = identity_of(one)
    sans = {"no san": [], "two uris": [f"URI:{uri}", f"URI:{uri}x"],
            "wildcard": ["URI:" + uri.rsplit("/", 1)[0] + "/*"], "dns only": ["DNS:localhost"],
            "another cluster": [f"URI:rexec://elsewhere/{'/'.join(uri.split('/')[3:])}"],
            "a foreign scheme": [f"URI:{uri.replace('rexec:', 'spiffe:')}"],
            "NUL by another name": [f"URI:{uri}%00"],
            "64 KiB name": [f"URI:{uri}{'a' * 9000}"]}[case]
    key = forge.new_key()
    leaf = forge.issue(one.controller.data, key, name, sans)
    assert answer(one, pose(one, tmp_path, leaf, key)) in ("refused", "not_signed_in", "revoked")


def test_a_leaf_that_calls_itself_an_authority_is_refused(one, tmp_path):  # FAULTS L8
    name, uri = identity_of(one)
    key = forge.new_key()
    leaf = forge.issue(one.controller.data, key, name, [f"URI:{uri}"], ca_leaf=True)
    assert answer(one, pose(one, tmp_path, leaf, key)) == "refused"


@pytest.mark.parametrize("kind,digest", [("rsa1024", "sha256"), ("ec", "sha1")])
def test_weak_keys_and_signatures_are_refused(one, tmp_path, kind, digest):  # FAULTS L18
    name, uri = identity_of(one)
    key = forge.new_key(kind)
    leaf = forge.issue(one.controller.data, key, name, [f"URI:{uri}"], digest=digest)
    try:
        assert answer(one, pose(one, tmp_path, leaf, key)) == "refused"
    except ssl.SSLError as error:  # this side's library does not even offer it
        assert "TOO_SMALL" in str(error) or "TOO_WEAK" in str(error)


@pytest.mark.parametrize("after,until", [(-days(60), -days(31)), (days(1), days(2))],
                         ids=["expired for more than 30 days", "not yet valid"])
def test_what_is_out_of_its_time_is_refused(one, tmp_path, after, until):  # FAULTS L7
    name, uri = identity_of(one)
    key = forge.new_key()
    leaf = forge.issue(one.controller.data, key, name, [f"URI:{uri}"], after=after, until=until)
    assert answer(one, pose(one, tmp_path, leaf, key)) != "welcome"


@pytest.mark.parametrize("role", ["node", "controller", "enrol"])
def test_a_users_certificate_is_good_for_a_user_only(one, role):  # FAULTS L10, A20
    assert answer(one, one.cli.context_dir(), role) not in ("welcome",)


def test_a_nodes_certificate_is_not_a_user(one):  # FAULTS L10
    assert answer(one, one.nodes["n1"].data / "net", "user") != "welcome"


def test_without_a_certificate_only_enrolling_is_possible(one):  # FAULTS L5
    with Peer(one.address) as peer:
        got = peer.hello("user")
        assert got is None or (got[0] == CLOSE and got[3]["code"] == "not_signed_in"), got
    with Peer(one.address) as peer:
        assert peer.hello("enrol")[0] == HELLO
        peer.call(1, "node.ls")
        assert peer.receive() is None, "one request that is not enrol ends it"


def test_only_tls_1_3_is_spoken(one):  # FAULTS L2, L19
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["rexec/1"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Peer(one.address, context=context)
    with Peer(one.address, one.cli.context_dir()) as peer:
        assert peer.socket.version() == "TLSv1.3"
        assert peer.socket.cipher()[0] in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                           "TLS_CHACHA20_POLY1305_SHA256")


@pytest.mark.parametrize("alpn", [None, "h2", "rexec/9"])
def test_another_protocol_name_is_not_served(one, alpn):
    context = tls_context(directory=one.cli.context_dir(), alpn=alpn)
    try:
        with Peer(one.address, context=context) as peer:
            assert peer.hello() is None
    except (ssl.SSLError, ConnectionError):
        pass


# ---- renewal

def replace_certificate(cluster, directory, after, until):
    """The same key and names, another time of validity; the file's new content."""
    name, uri = forge.describe(directory)
    leaf = forge.issue(cluster.controller.data, (directory / "key.der").read_bytes(), name,
                       [f"URI:{uri}"], after=after, until=until)
    (directory / "cert.der").write_bytes(leaf)
    return leaf


@pytest.mark.parametrize("after,until", [(-days(3), -days(2)), (-days(0.3), days(0.05))],
                         ids=["expired two days ago", "past half of its life"])
def test_a_users_certificate_renews_by_itself(make_cluster, after, until):  # FAULTS N12
    cluster = make_cluster(nodes=1)
    directory = cluster.cli.context_dir()
    old = replace_certificate(cluster, directory, after, until)
    assert cluster.cli.run("n1", "true").code == 0
    cluster.cli("whoami").ok()
    processes.wait_until(lambda: (directory / "cert.der").read_bytes() != old, "it was renewed")
    cluster.cli("whoami").ok()


@pytest.mark.parametrize("after,until", [(-days(3), -days(2)), (-days(0.9), days(0.1))],
                         ids=["expired two days ago", "past half of its life"])
def test_a_nodes_certificate_renews_by_itself(make_cluster, after, until):  # FAULTS N12
    cluster = make_cluster(nodes=0)
    node = cluster.join("n1")
    file = node.data / "net" / "cert.der"
    old = replace_certificate(cluster, node.data / "net", after, until)
    node.start()
    processes.wait_until(lambda: file.read_bytes() != old, "it was renewed")
    assert cluster.cli.run("n1", "echo", "hi").text == "hi\n"
    node.restart()
    cluster.wait_online("n1")


def test_after_30_days_a_certificate_is_refused_with_what_to_do(make_cluster):
    cluster = make_cluster(nodes=0)
    replace_certificate(cluster, cluster.cli.context_dir(), -days(60), -days(31))
    done = cluster.cli("whoami")
    assert done.code == 4 and "login" in done.errors and "ended at" in done.errors, done


def test_a_certificate_of_tomorrow_names_both_clocks(make_cluster):  # FAULTS L7, L17
    cluster = make_cluster(nodes=0)
    replace_certificate(cluster, cluster.cli.context_dir(), days(1), days(2))
    done = cluster.cli("whoami")
    assert done.code == 4 and done.errors.count("T") >= 2, done


def test_a_revoked_user_does_not_renew(make_cluster):  # FAULTS N12
    cluster = make_cluster(nodes=0)
    ann = cluster.new_user("ann")
    cluster.cli("user", "revoke", "ann", "-y").ok()
    old = replace_certificate(cluster, ann.context_dir(), -days(3), -days(2))
    assert ann("whoami").code == 4
    assert (ann.context_dir() / "cert.der").read_bytes() == old


def test_a_controller_with_another_ca_is_not_believed(make_cluster):
    """The client checks the controller as strictly as the controller checks it."""
    real, fake = make_cluster(nodes=0), make_cluster(nodes=0)
    other = real.cli.through(real.root / "misled", [fake.address])
    done = other("whoami")
    assert done.code in (4, 5) and done.out == b"", done
