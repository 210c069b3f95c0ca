"""What must not be written down: values that look like a secret, by their name or by themselves.

Manifests, ``cluster.json`` and ``launcher config show`` hold every variable of ``--env`` in the clear, and
whoever may read the bucket reads them for as long as the run is kept. A variable that looks like a secret is
therefore refused; ``--env-secret`` has pods read it from a Secret of the namespace instead.
"""

import re

# Parts of a name between underscores; TOKENIZER or KEYS_PER_ROW is none of them.
_NAMES = re.compile(
    r"(?:^|_)(?:TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRETS|CREDENTIAL|CREDENTIALS|APIKEY|"
    r"(?:API|PRIVATE|ACCESS|SECRET|ENCRYPTION|SIGNING|ACCOUNT|LICENSE|SSH)_KEY)(?:_|$)"
    # Without an underscore before it: MYPASS, DBPASSWORD; not BYPASS, COMPASS, OLDPWD.
    r"|(?<!BY)(?<!COM)(?<!SINGLE)(?<!MULTI)(?<!ONE)(?<!TWO)PASS$|(?<!OLD)(?<!^)PWD$|(?:PASSWORD|PASSWD|SECRET|TOKEN|APIKEY)$",
    re.IGNORECASE,
)
HIDDEN = "(hidden: it looks like a secret)"
_ABOUT = re.compile(r"_(?:FILE|PATH|DIR|URL|URI|NAME|TTL|LENGTH|TIMEOUT|SECONDS)$", re.IGNORECASE)
_VALUES = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"[a-z][-+.a-z0-9]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE), "an address with a password"),
    (re.compile(r"\beyJ[-\w]{10,}\.[-\w]{10,}\.[-\w]+"), "a signed token"),
    (
        re.compile(r"\b(?:gh[pousr]_\w{30,}|hf_\w{30,}|ya29\.[-\w]{20,}|AKIA[A-Z0-9]{16})\b"),
        "an access token",
    ),
)
_PASSWORD = re.compile(r"(?P<scheme>[a-z][-+.a-z0-9]*://)[^/\s@]+@", re.IGNORECASE)


def looks_secret(name: str, value: str) -> str:
    """Why a variable looks like a secret, empty where it does not; never holds the value."""
    for rule, what in _VALUES:
        if rule.search(value):
            return f"its value is {what}"
    # The path of a file is no secret, nor is a number or a switch: MAX_TOKEN_COUNT=512.
    plain = value.startswith(("/", "$(")) or re.fullmatch(r"[-+.\d]{0,6}|true|false|yes|no|on|off", value)
    if _NAMES.search(name) and not plain and not _ABOUT.search(name):
        return "its name says that it is a secret"
    return ""


def refusal(name: str, what: str) -> str:
    """The line that refuses such a variable and says what to do; without the value."""
    return (
        f"env is '{name}': {what}, and manifests and the run's folder would show it; expected "
        f"--env-secret {name}=SECRET/KEY (env_secrets), which pods read from a Secret of the namespace, "
        f"or --env-plain {name} if it is none"
    )


def without_password(address: str) -> str:
    """An address without the user and password that it may hold."""
    return _PASSWORD.sub(r"\g<scheme>", address)
