"""The token lint: a change in, a finding out, with its severity and a remedy."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server import _inspect as lint
from moss_voice_server._inspect import Inspection, Pair, inspect
from moss_voice_server._secret import Secret
from tests.inspect.cases import CASES, GOOD_SAYS, KEY, NOW, SECRET, Case, changed, good

PAIR = Pair(KEY, Secret(SECRET))


def signed(claims: dict[str, Any], secret: str = SECRET, **header: Any) -> str:
    """A token of any maker."""
    # As bytes: PyJWT itself would refuse some claims that a token of another maker may well have.
    return jwt.api_jws.encode(json.dumps(claims).encode("ascii"), secret, algorithm="HS256", headers=header or None)


def codes(inspection: Inspection) -> set[str]:
    """What was found, by its codes."""
    return {finding.code for finding in inspection.findings}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_trap_is_named(case: Case) -> None:
    """Every change to a good token is found, with its severity, a reason and a remedy."""
    found = inspect(signed(changed(case.changes)), NOW, PAIR).findings

    assert (case.code, case.severity) in {(finding.code, finding.severity) for finding in found}
    assert all(finding.message and finding.remedy for finding in found)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_errors_are_what_was_changed(case: Case) -> None:
    """A change that is no error brings no error with it, and the worst finding is always the first."""
    inspection = inspect(signed(changed(case.changes)), NOW, PAIR)
    ranks = [("error", "warning", "info").index(finding.severity) for finding in inspection.findings]

    assert sorted(ranks) == ranks
    assert (case.severity != "error") == inspection.ok


def test_good_token_has_nothing_wrong() -> None:
    """A good token gets no error and no warning."""
    inspection = inspect(signed(good()), NOW, PAIR)

    assert (GOOD_SAYS, True, good()) == (codes(inspection), inspection.ok, inspection.claims)


def test_our_own_tokens_have_nothing_wrong() -> None:
    """What this package mints gets no error and no warning, with an agent and without."""
    server = MossVoiceServerSync.from_livekit("ws://127.0.0.1:7880", KEY, SECRET)
    info = ParticipantInfo("user-42", "Ada", "vip", {"plan": "gold"})
    for agent in (None, "clerk"):
        token = server.create_participant_token(info, "room", agent)
        inspection = inspect(token, inspect(token, 0).claims["nbf"], PAIR)  # type: ignore[index]
        assert [] == [finding for finding in inspection.findings if finding.severity != "info"]


SIGNATURES: dict[str, tuple[Callable[[], str], Pair | None, str, str]] = {
    "no secret at hand": (lambda: signed(good()), None, "not_checked", "info"),
    "short secret": (lambda: signed(good(), "secret" * 1), Pair(KEY, Secret("secret")), "weak_secret", "warning"),
    "another secret": (lambda: signed(good(), "another-secret" * 3), PAIR, "bad_signature", "error"),
    "another key": (lambda: signed({**good(), "iss": "APIother"}), PAIR, "other_key", "warning"),
    "key and secret swapped": (lambda: signed({**good(), "iss": SECRET}, KEY), PAIR, "swapped", "error"),
    "signed with the key": (lambda: signed(good(), KEY), PAIR, "signed_with_key", "error"),
    "secret with a line end": (lambda: signed(good(), SECRET + "\n"), PAIR, "secret_with_line_end", "error"),
    "secret at hand with a line end": (
        lambda: signed(good()),
        Pair(KEY, Secret(SECRET + "\n")),
        "secret_with_line_end",
        "error",
    ),
    "another algorithm": (
        lambda: jwt.encode(good(), SECRET * 2, algorithm="HS384"),
        Pair(KEY, Secret(SECRET * 2)),
        "algorithm",
        "error",
    ),
    "no algorithm": (lambda: jwt.encode(good(), "", algorithm="none"), PAIR, "algorithm", "error"),
    "no signature": (lambda: signed(good()).rpartition(".")[0] + ".", None, "no_whole_signature", "error"),
    "a signature that was cut off": (lambda: signed(good())[:-7], PAIR, "no_whole_signature", "error"),
    "the secret among the claims": (
        lambda: signed({**good(), "attributes": {"for the agent": f"key:{SECRET}"}}),
        PAIR,
        "secret_inside",
        "error",
    ),
    "changed after signing": (
        lambda: ".".join(
            (
                signed(good()).split(".")[0],
                signed({**good(), "sub": "admin"}).split(".")[1],
                signed(good()).split(".")[2],
            )
        ),
        PAIR,
        "bad_signature",
        "error",
    ),
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize(("token", "pair", "code", "severity"), SIGNATURES.values(), ids=SIGNATURES.keys())
def test_signature_is_judged(token: Callable[[], str], pair: Pair | None, code: str, severity: str) -> None:
    """A signature that LiveKit would refuse is named by its cause, and no secret is shown."""
    inspection = inspect(token(), NOW, pair)

    assert (code, severity) in {(finding.code, finding.severity) for finding in inspection.findings}
    assert SECRET not in str(inspection)


def test_signature_alone_is_checked_without_a_key() -> None:
    """With a secret and no key at hand the signature is checked, whoever's key the token names."""
    pair = Pair("", Secret(SECRET))

    assert GOOD_SAYS == codes(inspect(signed({**good(), "iss": "APIother"}), NOW, pair))


def payload(text: str) -> str:
    """A token with any text for its payload."""
    return f"e30.{urlsafe_b64encode(text.encode()).decode().rstrip('=')}.c2ln"


NO_TOKENS = {
    "nothing": ("", "malformed"),
    "white space": (" \n", "malformed"),
    "a word": ("token", "malformed"),
    "two parts": ("a.b", "malformed"),
    "five parts": ("a.b.c.d.e", "malformed"),
    "a header's value": (f"Bearer {signed(good())}", "malformed"),
    "quotes": (f'"{signed(good())}"', "malformed"),
    "an endpoint's answer": (f'{{"participant_token": "{signed(good())}"}}', "malformed"),
    "an object": ('{"sub": "user-42"}', "malformed"),
    "a character too many": (signed(good()).replace(".", ".+", 1), "malformed"),
    "padding": (signed(good()) + "=", "padded"),
    "a payload that is no JSON": (payload("hello"), "malformed"),
    "a payload that is a list": (payload("[]"), "malformed"),
    "a payload that is not UTF-8": ("e30._w.c2ln", "malformed"),
    "a payload that is too deep": (payload('{"a":' * 40 + "1" + "}" * 40), "malformed"),
    "a payload of no depth at all": (payload("[" * 100_000), "malformed"),
    "a payload with a number that JSON does not have": (payload('{"exp": NaN}'), "malformed"),
    "a payload with a number that is too large": (payload('{"exp": 1e999}'), "malformed"),
    "a signature of an impossible length": (signed(good()).rpartition(".")[0] + ".a", "malformed"),
}


# What people paste instead of a token, and a word of the finding that tells them.
NEARLY: dict[str, tuple[str, str]] = {
    "a header's value": (f"Bearer {signed(good())}", "Bearer"),
    "a header": (f"Authorization: Bearer {signed(good())}", "Bearer"),
    "a variable": (f"LIVEKIT_TOKEN={signed(good())}", "before the token"),
    "a line of JSON's end": (f'{signed(good())}",', "behind it"),
    "UTF-16": ("\0".join(signed(good())), "UTF-16"),
    "an encrypted one": ("e30.a.b.c.d", "JWE"),
    "one that was cut off": (signed(good())[:-10], "cut off"),
    "quotes": (f'"{signed(good())}"', "quotes"),
    "an endpoint's answer": (f'{{"participant_token": "{signed(good())}"}}', "participant_token"),
    "an address": (f"wss://livekit.example/rtc?access_token={signed(good())}&auto_subscribe=1", "access_token"),
    "a broken line": (f"{signed(good())[:80]}\n{signed(good())[80:]}", "line break"),
    "half of it": (signed(good()).rpartition(".")[0], "it has one dot"),
    "its payload": (signed(good()).split(".")[1], "it has no dot"),
}


@pytest.mark.parametrize(("text", "word"), NEARLY.values(), ids=NEARLY.keys())
def test_what_is_nearly_a_token_is_told(text: str, word: str) -> None:
    """Whoever pastes more or less than a token is told what it is, and nothing of the token itself."""
    finding = inspect(text, NOW, PAIR).findings[0]

    assert word in f"{finding.message} {finding.remedy}"
    assert "eyJ" not in f"{finding.message} {finding.remedy}"


@pytest.mark.parametrize(("text", "code"), NO_TOKENS.values(), ids=NO_TOKENS.keys())
def test_what_is_no_token_is_named(text: str, code: str) -> None:
    """What is no token gets one finding, an error with a remedy, and no claims."""
    inspection = inspect(text, NOW, PAIR)

    assert (None, [(code, "error")], False) == (
        inspection.claims,
        [(finding.code, finding.severity) for finding in inspection.findings],
        inspection.ok,
    )
    assert inspection.findings[0].remedy


def test_white_space_around_a_token_is_left_out() -> None:
    """Files and pipes end with a line end, which is no part of the token."""
    assert inspect(signed(good()), NOW, PAIR) == inspect(f"\n  {signed(good())}\r\n", NOW, PAIR)
    assert inspect(signed(good()), NOW, PAIR) == inspect(f"\ufeff{signed(good())}\r\n", NOW, PAIR)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_secrets_in_a_token_are_masked() -> None:
    """Credentials of an egress, and a secret in the key's place, are never handed on."""
    egress = {
        "room": {
            "fileOutputs": [{"s3": {"accessKey": "AK", "secret": "hush-1", "sessionToken": "hush-2"}}],
            "streamOutputs": [{"urls": ["rtmp://host.example/hush-3"]}],
            "webhooks": [{"url": "https://user:hush-4@host.example", "signingKey": "hush-5"}],
            "customBaseUrl": "https://user:hush-6@host.example",
        },
        "tracks": {"gcp": {"credentials": "hush-7"}, "azure": {"account_key": "hush-8", "ACCOUNTKEY": "hush-9"}},
    }
    claims = {**good(), "iss": SECRET, "roomConfig": {"egress": egress}, "room_config": {"egress": egress}}
    claims |= {"roomConfiguration": {"egress": egress}, "video": {"roomConfig": {"egress": egress}}}
    inspection = inspect(signed(claims, KEY), NOW, PAIR)

    assert [] == re.findall(rf"hush-[0-9]|{SECRET}", str(inspection))
    assert {"swapped", "egress_credentials"} <= codes(inspection)


@pytest.mark.parametrize("value", [None, True, 7, 1e999, "text", [], {}, [{}], {"a": {}}], ids=repr)
@pytest.mark.parametrize(
    "claim", sorted(lint.spelling.CLAIMS | {"video.room", "roomConfig.agents", "roomConfig.egress"})
)
def test_no_value_upsets_the_lint(claim: str, value: Any) -> None:
    """Whatever JSON a claim holds, the lint has an answer."""
    assert inspect(signed(changed({claim: value}) if "." in claim else {**good(), claim: value}), NOW, PAIR).findings


def test_names_in_messages_are_short_and_visible() -> None:
    """A name that a token's maker chose cannot fill the screen or command the terminal."""
    findings = inspect(signed({**good(), "\x1b[2J" + "n" * 500: 1}), NOW, PAIR).findings

    assert [] == [each for each in findings if len(each.message) > 300 or not each.message.isprintable()]


def test_every_rule_has_a_case() -> None:
    """No rule is without a case above."""
    source = "".join(path.read_text(encoding="utf-8") for path in Path(lint.__file__).parent.glob("*.py"))
    rules = set(re.findall(r'(?:error|warning|info|\))\(\s*"([a-z_]+)"', source)) | {"unknown_name", "snake_case"}
    tested = {case.code for case in CASES.values()} | {code for _, _, code, _ in SIGNATURES.values()}

    assert sorted(rules) == sorted(tested | {code for _, code in NO_TOKENS.values()})
