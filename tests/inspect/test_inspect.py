"""`inspect`: one change to a good token in, one finding out, with its severity and a remedy."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo, _inspect
from moss_voice_server._inspect import Inspection, inspect
from tests.inspect.cases import CASES, GOOD_SAYS, KEY, NOW, SECRET, changed, good

pytestmark = pytest.mark.once

PAIR = (KEY, SECRET)
NO_PAIR = ("", None)


def signed(claims: dict[str, Any], secret: str = SECRET, **header: Any) -> str:
    """A token of any maker."""
    # As bytes: PyJWT itself would refuse some claims that a token of another maker may well have.
    return jwt.api_jws.encode(json.dumps(claims).encode("ascii"), secret, algorithm="HS256", headers=header or None)


def codes(inspection: Inspection) -> set[str]:
    """What was found, by its codes."""
    return {finding.code for finding in inspection.findings}


def test_cases() -> None:
    """Each change to a good token has its finding, with a remedy; other changes are no errors; the worst comes first."""
    for case in CASES.values():
        inspection = inspect(signed(changed(case.changes)), NOW, *PAIR)
        found = inspection.findings
        ranks = [("error", "warning", "info").index(finding.severity) for finding in found]

        assert (case.code, case.severity) in {(finding.code, finding.severity) for finding in found}
        assert all(finding.message and finding.remedy for finding in found)
        assert sorted(ranks) == ranks
        assert (case.severity != "error") == inspection.ok


def test_good_tokens() -> None:
    """A good token gets no error and no warning, with whitespace around it, which files and pipes add, and without a key; so
    do our tokens, with an agent and without."""
    whole = inspect(signed(good()), NOW, *PAIR)
    assert (GOOD_SAYS, True, good()) == (codes(whole), whole.ok, whole.claims)
    assert whole == inspect(f"\ufeff\n  {signed(good())}\r\n", NOW, *PAIR)
    assert GOOD_SAYS == codes(inspect(signed({**good(), "iss": "APIother"}), NOW, "", SECRET))
    server = MossVoiceServerSync.from_livekit("ws://127.0.0.1:7880", KEY, SECRET)
    info = ParticipantInfo("user-42", "Ada", "vip", {"plan": "gold"})
    for agent in (None, "clerk"):
        token = server.create_participant_token(info, "room", agent)
        inspection = inspect(token, inspect(token, 0).claims["nbf"], *PAIR)  # type: ignore[index]
        assert [] == [finding for finding in inspection.findings if finding.severity != "info"]


SIGNATURES: dict[str, tuple[Callable[[], str], tuple[str, str | None], str, str]] = {
    "no secret at hand": (lambda: signed(good()), NO_PAIR, "not_checked", "info"),
    "short secret": (lambda: signed(good(), "secret" * 1), (KEY, "secret"), "weak_secret", "warning"),
    "another secret": (lambda: signed(good(), "another-secret" * 3), PAIR, "bad_signature", "error"),
    "another key": (lambda: signed({**good(), "iss": "APIother"}), PAIR, "other_key", "warning"),
    "key and secret swapped": (lambda: signed({**good(), "iss": SECRET}, KEY), PAIR, "swapped", "error"),
    "signed with the key": (lambda: signed(good(), KEY), PAIR, "signed_with_key", "error"),
    "secret with a newline": (lambda: signed(good(), SECRET + "\n"), PAIR, "secret_with_line_end", "error"),
    "given secret with a newline": (lambda: signed(good()), (KEY, SECRET + "\n"), "secret_with_line_end", "error"),
    "another algorithm": (lambda: jwt.encode(good(), SECRET * 2, algorithm="HS384"), PAIR, "algorithm", "error"),
    "no algorithm": (lambda: jwt.encode(good(), "", algorithm="none"), PAIR, "algorithm", "error"),
    "no signature": (lambda: signed(good()).rpartition(".")[0] + ".", NO_PAIR, "no_whole_signature", "error"),
    "a signature that was cut off": (lambda: signed(good())[:-7], PAIR, "no_whole_signature", "error"),
    "the secret among the claims": (
        lambda: signed({**good(), "attributes": {"for the agent": [f"key:{SECRET}"]}}),
        PAIR,
        "secret_inside",
        "error",
    ),
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_signature_is_judged() -> None:
    """A signature that LiveKit would refuse is named by its cause, and no secret is shown."""
    for token, pair, code, severity in SIGNATURES.values():
        inspection = inspect(token(), NOW, *pair)

        assert (code, severity) in {(finding.code, finding.severity) for finding in inspection.findings}
        assert SECRET not in str(inspection)


def payload(text: str) -> str:
    """A token with any text for its payload."""
    return f"e30.{urlsafe_b64encode(text.encode()).decode().rstrip('=')}.c2ln"


TOKEN = signed(good())
# What people paste instead of a token, and a word of the finding that says so.
NOT_TOKENS = {
    "nothing": ("", "empty"),
    "whitespace": (" \n", "empty"),
    "a word": ("token", "found 1"),
    "two parts": ("a.b", "found 2"),
    "an encrypted one": ("e30.a.b.c.d", "JWE"),
    "a header": (f"Authorization: Bearer {TOKEN}", "Bearer"),
    "a variable": (f"LIVEKIT_TOKEN={TOKEN}", "before or after"),
    "the end of a line of JSON": (f'{TOKEN}",', "before or after"),
    "UTF-16": ("\0".join(TOKEN), "UTF-16"),
    "quotes": (f'"{TOKEN}"', "quotes"),
    "an endpoint's response": (f'{{"participant_token": "{TOKEN}"}}', "participant_token"),
    "an object": ('{"sub": "user-42"}', "JSON object"),
    "a URL": (f"wss://livekit.example/rtc?access_token={TOKEN}&auto_subscribe=1", "access_token"),
    "a broken line": (f"{TOKEN[:80]}\n{TOKEN[80:]}", "line break"),
    "a path": ("/run/secrets/token", "if this is a file"),
    "the name of a file": ("token.jwt", "if this is a file"),
    "a character too many": (TOKEN.replace(".", ".+", 1), "base64url"),
    "padding": (TOKEN + "=", "padded"),
    "a payload that is not JSON": (payload("hello"), "not strict JSON"),
    "a payload that is a list": (payload("[]"), "not a JSON object"),
    "a payload that is not UTF-8": ("e30._w.c2ln", "claims"),
    "a payload that is too deep": (payload('{"a":' * 40 + "1" + "}" * 40), "claims"),
    "a payload that never ends": (payload("[" * 100_000), "claims"),
    "a payload with NaN": (payload('{"exp": NaN}'), "claims"),
    "a payload with infinity": (payload('{"exp": 1e999}'), "claims"),
    "a signature of an impossible length": (TOKEN.rpartition(".")[0] + ".a", "cut off"),
}


def test_text_that_is_not_a_token() -> None:
    """One error that names the kind of text and how to get the token, no claims, and no part of the token."""
    for text, word in NOT_TOKENS.values():
        inspection = inspect(text, NOW, *PAIR)
        finding = inspection.findings[0]

        assert (None, 1, False) == (inspection.claims, len(inspection.findings), inspection.ok)
        assert ("padded" if word == "padded" else "malformed", "error") == (finding.code, finding.severity)
        assert word in f"{finding.message} {finding.remedy}"
        assert "eyJ" not in f"{finding.message} {finding.remedy}"


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
    inspection = inspect(signed(claims, KEY), NOW, *PAIR)

    assert [] == re.findall(rf"hush-[0-9]|{SECRET}", str(inspection))
    assert {"swapped", "egress_credentials"} <= codes(inspection)


def test_any_json_value_is_handled() -> None:
    """Any JSON value in a claim has a finding."""
    value: Any
    for value in [None, True, 7, 1e999, "text", [], {}, [{}], {"a": {}}]:
        for claim in sorted(_inspect.spelling.CLAIMS.keys() | {"video.room", "roomConfig.agents", "roomConfig.egress"}):
            assert inspect(
                signed(changed({claim: value}) if "." in claim else {**good(), claim: value}), NOW, *PAIR
            ).findings


def test_names_in_messages_are_short_and_visible() -> None:
    """A name that a token's maker chose cannot fill the screen or command the terminal."""
    findings = inspect(signed({**good(), "\x1b[2J" + "n" * 500: 1}), NOW, *PAIR).findings

    assert [] == [each for each in findings if len(each.message) > 300 or not each.message.isprintable()]


def test_every_rule_has_a_case() -> None:
    """Every code that the source can produce is in a table above."""
    source = "".join(path.read_text(encoding="utf-8") for path in Path(_inspect.__file__).parent.glob("*.py"))
    rules = set(re.findall(r'(?:Finding|Rule)\(\s*"([a-z_]+)"', source)) | {"unknown_name", "snake_case"}
    tested = {case.code for case in CASES.values()} | {code for _, _, code, _ in SIGNATURES.values()}

    assert sorted(rules) == sorted(tested | {"malformed", "padded"})
