"""Signed notes as C2SP describes them: known keys and signatures, and everything that is none."""

import json

import pytest

from audit.verify_export.signed_notes import (
    InvalidNote,
    SigningKey,
    checkpoint_text,
    parse_public_key,
    parse_signing_key,
    read_checkpoints,
    require_signature,
)

# The example of Go's package golang.org/x/mod/sumdb/note, whose format this is.
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
NOTE = (
    f"{TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
    "ngotpRZb6KE6RyyBwJnAM=\n"
)
KEY = SigningKey("portal/audit-log", b"1" * 32)
OTHER = SigningKey("portal/audit-log", b"2" * 32)
CHECKPOINT = KEY.sign(checkpoint_text(KEY.name, 12, "ab" * 32))


def test_keys_and_signatures_are_those_of_other_programs():
    key = parse_signing_key(PRIVATE)
    assert (str(key), str(key.public_key), key.sign(TEXT)) == (PRIVATE, PUBLIC, NOTE)
    assert require_signature(NOTE, [parse_public_key(PUBLIC)]) == key.public_key


def test_a_private_key_is_in_no_log():
    assert "gQoUAt" not in repr(parse_signing_key(PRIVATE))
    assert repr(KEY) == "SigningKey('portal/audit-log')"


@pytest.mark.parametrize(
    "text",
    ["", "x", PUBLIC.replace("c7", "c8"), PUBLIC[:-4], PUBLIC.replace("+AR", "+BB"), PRIVATE],
)
def test_a_text_that_is_no_public_key_is_refused(text):
    with pytest.raises(InvalidNote):
        parse_public_key(text)


@pytest.mark.parametrize("text", ["", PUBLIC, PRIVATE.replace("c7", "c8"), PRIVATE[:-4]])
def test_a_text_that_is_no_signing_key_is_refused(text):
    with pytest.raises(InvalidNote):
        parse_signing_key(text)


@pytest.mark.parametrize(
    "note",
    [
        CHECKPOINT.replace("\n12\n", "\n13\n"),
        CHECKPOINT.replace("portal/audit-log\n12", "elsewhere/audit-log\n12"),
        f"more\n{CHECKPOINT}",
        OTHER.sign(checkpoint_text(KEY.name, 12, "ab" * 32)),
        checkpoint_text(KEY.name, 12, "ab" * 32),
        "",
    ],
)
def test_a_note_that_is_not_what_was_signed_is_refused(note):
    with pytest.raises(InvalidNote):
        require_signature(note, [KEY.public_key])


def test_signatures_of_unknown_keys_are_ignored():
    both = CHECKPOINT + OTHER.sign("").partition("\n\n")[2] + CHECKPOINT.partition("\n\n")[2]
    assert require_signature(both, [KEY.public_key]) == KEY.public_key


def test_checkpoints_are_read_from_a_file_and_from_a_syslog():
    line = json.dumps(CHECKPOINT, ensure_ascii=False)
    syslog = f"<109>1 2026-05-31T14:18:09Z host apono-portal 7 checkpoint - \ufeff{line}\n"
    for text in (f"{CHECKPOINT}\n" * 2, CHECKPOINT * 2, syslog * 2):
        checkpoints = read_checkpoints(text)
        assert [item.size for item in checkpoints] == [12, 12]
        assert checkpoints[0].note == CHECKPOINT
        assert checkpoints[0].chain_hash == "ab" * 32


@pytest.mark.parametrize(
    "text", ["", "hello", CHECKPOINT.partition("\n")[2], CHECKPOINT.replace("12", "-1")]
)
def test_a_file_without_checkpoints_is_refused(text):
    with pytest.raises(InvalidNote, match="no signed checkpoint"):
        read_checkpoints(text)


def test_a_checkpoint_cut_out_of_a_file_is_noticed():
    with pytest.raises(InvalidNote, match="belong to no checkpoint"):
        read_checkpoints(CHECKPOINT + CHECKPOINT.replace("\n12\n", "\ntwelve\n"))
