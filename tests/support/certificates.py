"""Certificates that no rexec would issue, made with the openssl program and a CA's key on disk.

For tests of what the other side must refuse, and of renewal: time is a field of the certificate here
instead of something to wait for.
"""
import datetime
import pathlib
import subprocess
import tempfile

CONFIG = """
[ca]
default_ca = it
[it]
dir = {directory}
database = {directory}/index
new_certs_dir = {directory}
rand_serial = yes
default_md = {digest}
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[leaf]
basicConstraints = critical,{basic}
keyUsage = critical,digitalSignature{usage}
extendedKeyUsage = {purpose}
{san}
"""


def run(*command, **options):
    return subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True, **options)


def new_key(kind="ec"):
    """A private key as PKCS#8 DER."""
    options = {"ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
               "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]}[kind]
    return run("genpkey", *options, "-outform", "DER").stdout


def describe(directory):
    """(common name, SAN URI) of the cert.der there."""
    text = run("x509", "-inform", "DER", "-in", directory / "cert.der", "-noout", "-subject", "-ext",
               "subjectAltName", "-nameopt", "RFC2253").stdout.decode()
    name = next(line for line in text.splitlines() if line.startswith("subject=")).split("CN=")[1]
    return name.strip(), text.split("URI:")[1].split()[0]


def new_ca(directory, name):
    """ca.crt and ca.key of an authority of our own, with whatever name."""
    key = directory / "ca.key"
    key.write_bytes(run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").stdout)
    run("req", "-x509", "-key", key, "-subj", f"/CN={name}", "-days", "30", "-out",
        directory / "ca.crt", "-addext", "basicConstraints=critical,CA:TRUE")
    return directory


def days(count):
    return datetime.timedelta(days=count)


def issue(authority, key_der, name, sans, *, after=-days(0.1), until=days(1), ca_leaf=False,
          digest="sha256", purpose="clientAuth"):
    """The DER of a certificate signed by `authority` (a directory with ca.crt and ca.key)."""
    now = datetime.datetime.now(datetime.timezone.utc)
    san = "subjectAltName = " + ",".join(sans) if sans else ""
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        (work / "index").touch()
        (work / "config").write_text(CONFIG.format(
            directory=work, digest=digest, basic="CA:TRUE" if ca_leaf else "CA:FALSE",
            usage=",keyCertSign" if ca_leaf else "", purpose=purpose, san=san))
        (work / "key").write_bytes(key_der)
        run("req", "-new", "-key", work / "key", "-keyform", "DER", "-subj", f"/CN={name}",
            "-config", work / "config", "-out", work / "csr")
        stamp = "%Y%m%d%H%M%SZ"
        run("ca", "-batch", "-notext", "-config", work / "config", "-extensions", "leaf",
            "-cert", authority / "ca.crt", "-keyfile", authority / "ca.key", "-in", work / "csr",
            "-startdate", (now + after).strftime(stamp), "-enddate", (now + until).strftime(stamp),
            "-out", work / "pem")
        return run("x509", "-in", work / "pem", "-outform", "DER").stdout
