"""The portal's rules, each with a way to break it that the campaign must find.

A rule that is enforced in two places is broken in both, since one of them alone still holds.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """Text that occurs exactly once in a file, and its replacement that breaks the rule."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Rule:
    """``attacks`` are the ones aimed at it, by parts of their names."""

    name: str
    attacks: tuple[str, ...]
    edits: list[Edit]

    def apply(self, tree: Path) -> None:
        """Break the rule in a copy of the source. Raise LookupError if the source has changed."""
        for edit in self.edits:
            file = tree / edit.path
            text = file.read_text()
            if (number := text.count(edit.old)) != 1:
                raise LookupError(f"{self.name}: {edit.path} has {number} of {edit.old!r}")
            file.write_text(text.replace(edit.old, edit.new))


# fmt: off
RULES = (
    Rule("the window closes after an hour", ("an hour later",), [
        Edit("mfa/verification/window.py", "timedelta(0) <= now - self.verified_at < settings.MFA_WINDOW",
             "True")]),
    Rule("sessions are bound to password and epoch", ("survival",), [
        Edit("apono_portal/users/models.py", 'f"{self.password}:{self.mfa_epoch}"',
             '"always the same"')]),
    Rule("a reset raises the epoch", ("survival", "reset against release"), [
        Edit("mfa/reset.py",
             "TrustedBrowser.objects.filter(user_id=state.user_id).delete()\n    raise_epoch(state)",
             "TrustedBrowser.objects.filter(user_id=state.user_id).delete()")]),
    Rule("a reset forgets trusted browsers", ("device cookies, used again",), [
        Edit("mfa/reset.py",
             "    TrustedBrowser.objects.filter(user_id=state.user_id).delete()\n",
             "")]),
    Rule("a code is used once", ("replay",), [
        Edit("mfa/verification/services.py", "    if device.verify_token(code):",
             "    device.last_t = -1\n    if device.verify_token(code):")]),
    Rule("the code that turns MFA on is used", ("turned MFA on",), [
        Edit("mfa/enrolment/services.py",
             '    device.save(update_fields=["confirmed", "name"])\n    raise_epoch(',
             "    device.last_t = -1\n"
             '    device.save(update_fields=["confirmed", "name", "last_t"])\n    raise_epoch(')]),
    Rule("a recovery code is used once", ("recovery codes",), [
        Edit("mfa/enrolment/recovery_codes.py",
             "codes.filter(used_at=None).update(used_at=attempt.now) == 1",
             "codes.exists()")]),
    Rule("failures lock out", ("code guessing, sequential", "code guessing, spread over addresses"), [
        Edit("mfa/verification/attempts.py", "    if until is None:\n        return None\n",
             "    if True:\n        return None\n")]),
    Rule("twenty failures a day", ("over weeks",), [
        Edit("mfa/verification/rate_limits.py", "LIMITS = (SHORT, DAY, MONTH)", "LIMITS = (SHORT, MONTH)")]),
    Rule("a hundred failures in 30 days", ("over weeks",), [
        Edit("mfa/verification/rate_limits.py", "LIMITS = (SHORT, DAY, MONTH)", "LIMITS = (SHORT, DAY)")]),
    Rule("attempts of one person wait for each other", ("code guessing, parallel", "32 sessions at once"), [
        Edit("mfa/verification/locking.py", "MfaState.objects.select_for_update()", "MfaState.objects"),
        Edit("mfa/verification/attempts.py", "Authenticator.objects.select_for_update().of(user_id)",
             "Authenticator.objects.of(user_id)")]),
    Rule("a trusted browser has a limit of its own", ("code guessing, sequential", "code guessing, spread over addresses"), [
        Edit("mfa/verification/throttle_scope.py", "    return f\"trusted:{browser.pk}\" if browser else",
             "    return f\"trusted:{browser.pk}\" if False else")]),
    Rule("trust is given, never claimed", ("device cookies, forged",), [
        Edit("mfa/verification/trusted_browsers.py",
             "    except signing.BadSignature:\n        return \"\"\n",
             "    except signing.BadSignature:\n        return cookie[:32]\n"),
        Edit("mfa/verification/attempts.py", "scope=scope_label(browser, recovery=method == Method.RECOVERY)",
             "scope=scope_label(browser, recovery=method == Method.RECOVERY) if browser else scope.nonce_hash or \"unknown\"")]),
    Rule("the session's key changes with the code", ("stale and copied",), [
        Edit("mfa/verification/window.py", "    request.session.cycle_key()\n    request.session[SESSION_KEY]",
             "    request.session[SESSION_KEY]")]),
    Rule("forms carry a CSRF token", ("cross-site",), [
        Edit("apono_portal/settings.py", '    "django.middleware.csrf.CsrfViewMiddleware",\n', ""),
        Edit("mfa/checks.py", 'yield 18, "Forms sent by other sites are accepted.", f"Add {CSRF}."',
             "pass")]),  # else it does not start at all
    Rule("requests are visible to those involved only", ("foreign ids",), [
        Edit("requests_app/querysets.py",
             "return self.filter(Q(requester=user) | _decidable_by(user))",
             "return self.all()")]),
    Rule("only the requester sees the credential", ("foreign ids",), [
        Edit("requests_app/querysets.py",
             "return self.filter(Q(requester=user) | _decidable_by(user))",
             "return self.all()"),
        Edit("requests_app/views/access.py",
             "    if access_request.requester_id != request.user.pk:\n        raise Http404\n",
             ""),
        Edit("requests_app/policies.py", "        and grant.request.requester_id == user.pk\n", "")]),
    Rule("the credential requires a window", ("credentials without a window",), [
        Edit("requests_app/grants/credentials.py",
             "        require_evidence(user=actor, window=window, requirement=requirement)\n",
             "")]),
    Rule("approvers of protected flows need a window", ("decisions without a window",), [
        Edit("requests_app/approvals/services.py",
             "_evidence(request, actor, window) if request.require_mfa else None",
             "None"),
        Edit("requests_app/policies.py",  # an approval without evidence does not count
             "    if state is not None and is_evidence_valid(\n        verification=decision.verification,",
             "    if True or is_evidence_valid(\n        verification=decision.verification,")]),
    Rule("nobody approves their own request", ("decisions without a window",), [
        Edit("accessflows/flows/policies.py",
             "if not user.is_active or (user == requester and not flow.allow_self_approval):",
             "if not user.is_active:"),
        Edit("accessflows/flows/policies.py",
             "    if requester_id is not None and not flow.allow_self_approval:\n",
             "    if False:\n"),
        Edit("requests_app/querysets.py", "return self.filter(_decidable_by(user)).exclude(own)",
             "return self.filter(_decidable_by(user))")]),
    Rule("a protected request waits for the code", ("steps skipped", "32 requests without"), [
        Edit("requests_app/submission/evaluation.py", "needs_verification = flow.require_mfa and not evaluation.is_covered",
             "needs_verification = False"),
        Edit("requests_app/submission/services.py",
             '"require_mfa": flow.require_mfa,\n        "break_glass"',
             '"require_mfa": False,\n        "break_glass"')]),
    Rule("users request only what a flow offers them", ("tampering",), [
        Edit("accessflows/querysets.py",
             "return self.active().filter(pk__in=self.ids_requestable_by(user))",
             "return self.active()")]),
    Rule("enrolled users cannot set up again", ("enrolling",), [
        Edit("mfa/enrolment/reauthentication.py",
             "    evidence = require_evidence_if_enrolled(user=user, window=window)\n",
             "    evidence = require_evidence_if_enrolled(user=user, window=window) if window else None\n"),
        Edit("mfa/enrolment/services.py", "    is_further = is_enrolled(user.pk)\n",
             "    is_further = is_enrolled(user.pk) and window is not None\n"),
        Edit("requests_app/views/set_up.py",
             "    if request.mfa.enrolled and not request.mfa.is_open:\n        raise WindowClosed\n",
             "")]),
    Rule("Django admin requires a window", ("steps skipped",), [
        Edit("mfa/middleware.py", "return match is not None and ADMIN_SITE in match.namespaces",
             "return False")]),
    Rule("admin pages require a window", ("steps skipped", "survival"), [
        Edit("mfa/middleware.py",
             "return state.is_open or not (state.enrolled or settings.MFA_ADMINS_MUST_ENROL)",
             "return True"),
        Edit("mfa/verification/evidence.py",
             "    verification = require_evidence_if_enrolled(user=actor, window=window)\n"
             "    if verification is None and settings.MFA_ADMINS_MUST_ENROL:\n",
             "    verification = None\n    if False:\n")]),
    Rule("redirects stay on the portal", ("open redirects",), [
        Edit("apono_portal/core/web/next_page.py", '    return next_url if is_safe else ""',
             "    return next_url")]),
    Rule("deactivated users are signed out", ("survival",), [
        Edit("apono_portal/users/backends.py",
             "user if user is not None and self.user_can_authenticate(user) else None",
             "user"),
        Edit("apono_portal/users/services/users.py",
             "        advance_epoch(user=user)\n"
             "        user = _lock(user, leaves_admins=True)\n",
             "        user = _lock(user, leaves_admins=True)\n")]),
    Rule("a password change needs a verification", ("changing passwords",), [
        Edit("apono_portal/users/views/passwords.py",
             "    if request.mfa.enrolled and not request.mfa.is_open:\n        return _verify_first(request)\n    data",
             "    data"),
        Edit("apono_portal/users/services/passwords.py",
             "        require_evidence_if_enrolled(user=current, window=window)\n", "")]),
    Rule("admins set up MFA before they change anything", ("an admin without MFA",), [
        Edit("apono_portal/settings.py", 'env.flag("MFA_ADMINS_MUST_ENROL")', "False")]),
    Rule("an IPv6 /64 is one network", ("one IPv6 network",), [
        Edit("apono_portal/users/password_limits.py", "ip_network((int(parsed), 64)", "ip_network((int(parsed), 128)"),
        Edit("apono_portal/users/password_limits.py", "\nACCOUNT_LIMIT = 30", "\nACCOUNT_LIMIT = 3000")]),
    Rule("a passkey's answer is for the portal's origin", ("relayed from another origin",), [
        Edit("mfa/passkeys/verification.py", "expected_origin=party.origin", "expected_origin=client_data.origin")]),
    Rule("a passkey's challenge is used once", ("eight ways at once",), [
        Edit("mfa/passkeys/challenges.py", "        used_at=None,\n", ""),
        Edit("apono_portal/users/sessions.py", "            raise UpdateError\n",
             "            super().save(must_create=True)\n")]),
    Rule("a passkey's challenge belongs to one session", ("challenges of something else",), [
        Edit("mfa/passkeys/challenges.py",
             "        session_ref=session_ref,\n        purpose=purpose,\n        challenge=bytes_to_base64url(challenge),\n",
             "        purpose=purpose,\n        challenge=bytes_to_base64url(challenge),\n")]),
    Rule("a passkey's challenge is for one purpose", ("challenges of something else",), [
        Edit("mfa/passkeys/challenges.py",
             "        purpose=purpose,\n        challenge=bytes_to_base64url(challenge),\n",
             "        challenge=bytes_to_base64url(challenge),\n")]),
    Rule("a passkey's challenge expires", ("expired challenges",), [
        Edit("mfa/passkeys/challenges.py", "        created_at__gt=now - PasskeyChallenge.LIFETIME,\n", "")]),
    Rule("a passkey is added through an open window", ("adding one with a stolen session",), [
        Edit("mfa/enrolment/reauthentication.py",
             "    evidence = require_evidence_if_enrolled(user=user, window=window)\n",
             "    evidence = None\n"),
        Edit("mfa/passkeys/views.py",
             "    if request.mfa.enrolled and not request.mfa.is_open:\n        return redirect_to_verify(request)\n",
             "")]),
    Rule("a new passkey waits", ("a new one before it counts",), [
        Edit("mfa/verification/strength.py", "return passkey.counts_from <= verification.at", "return True")]),
    Rule("a synced passkey is no device-bound one", ("a synced one where",), [
        Edit("mfa/verification/strength.py",
             "if passkey is None or (requirement.needs_device_bound and not passkey.is_device_bound):",
             "if passkey is None:")]),
    Rule("a code does not count where a passkey is demanded", ("downgrade to a code, on approval",), [
        Edit("mfa/verification/strength.py", "    if not requirement.needs_passkey:\n",
             "    if True:\n")]),
    Rule("rows that permit access are authentic", ("writing to the database",), [
        Edit("apono_portal/core/crypto/authenticity.py",
             "return key_id in row_keys() and hmac.compare_digest(self.mac, self._mac_under(key_id))", "return True")]),
    Rule("a session's content is signed for its key", ("taking over",), [
        Edit("apono_portal/users/sessions.py", 'f"{super().key_salt}.{self.session_key}"', "super().key_salt")]),
    Rule("the table of sessions has no keys", ("taking over",), [
        Edit("apono_portal/users/sessions.py",
             'salted_hmac("users.sessions", key, algorithm="sha256").hexdigest()[:HASH_LENGTH]', "key")]),
    Rule("tokens end with the epoch", ("api: after a reset",), [
        Edit("apono_portal/api/models.py", "if self.epoch != self.user.mfa_epoch:", "if False:")]),
    Rule("a token has scopes", ("api: scopes",), [
        Edit("apono_portal/api/authentication.py",
             "if scope not in token.scopes:", "if False:")]),
    Rule("a token reveals what its person confirmed for it", ("api: codes and stolen",), [
        Edit("apono_portal/api/tokens/selectors.py", "if request.token_id == token.pk and request.is_authentic",
             "if request.is_authentic")]),
    Rule("a directory takes over no group", ("scim:",), [
        Edit("apono_portal/scim/memberships.py", "Group.objects.create(name=_free_name(name, group=None))",
             "Group.objects.get_or_create(name=name)[0]")]),
    Rule("an email alone signs nobody in", ("sso:",), [
        Edit("apono_portal/sso/identities.py", "    if user is not None and not is_unused(user):\n", "    if False:\n")]),
    Rule("a log is compared with checkpoints saved elsewhere", ("rewriting the audit log",), [
        Edit("audit/integrity/verification.py", "        saved=saved,\n    )", "        saved=(),\n    )")]),
    Rule("a retention stub is signed by a worker", ("rewriting the audit log",), [
        Edit("audit/verify_export/verifier.py", "        self._signed.check_stub(record)\n", "")]),
)
# fmt: on
