"""The format of audit log exports, and their verifier.

    python -m audit.verify_export export.jsonl [--checkpoint FILE --public-key KEY] [--key FILE]

Needs only the standard library, and the package cryptography to check signatures, so it can be given to
an auditor along with an export (`archive` makes one file of it). The portal itself writes and verifies
with these modules; the format is described nowhere else.

* An event's digest is the SHA-256 of ``event``, a line feed and its fields as canonical JSON: keys
  sorted, no spaces, everything beyond ASCII escaped.
* A chained event has a position, counted from 1 without gaps. Its chain hash is the SHA-256 of the
  previous chain hash (64 zeros before the first), its position and its digest, one to a line.
* A checkpoint covers a run of positions. It holds the chain hash of the last, the hash of the previous
  checkpoint and ``settled_id``, up to which no event is missing. Its hash is the SHA-256 of its fields
  likewise; its MAC is HMAC-SHA-256 (RFC 2104) of that hash, under a key outside the database.
* A signed checkpoint is a note with a number of events and the chain hash of the last, signed with a key
  that only workers have (`signed_notes`).
* A stub stands for positions at the beginning that retention removed. It is hashed like a checkpoint and
  signed with the workers' key.

Without keys the verifier finds whatever is inconsistent. A log rewritten from some event to the end, by
somebody with the key of the MACs, is detected with a signed checkpoint saved earlier (``--checkpoint``).
"""
