"""What each URL may change for those it is for: "Model.field", "Model +" created, "Model -" deleted.

A URL that is not here changes nothing when every field is posted to it. The audit log is left out:
refusals are recorded too.
"""

STATUS = {
    "AccessRequest.revoked_by_label",
    "AccessRequest.ended_at",
    "AccessRequest.final_status",
    "AccessRequest.message",
    "AccessRequest.status",
    "AccessRequest.status_changed_at",
}
ENDING = STATUS | {"Grant.next_attempt_at", "Grant.state", "Grant.attempts"}
OF_A_FLOW = {
    "AccessFlow_approver_groups",
    "AccessFlow_approver_users",
    "RequesterCondition",
    "RequesterValue",
    "EscalationTier",
    "FlowTarget",
}
FLOW_TERMS = {
    f"AccessFlow.{name}"
    for name in (
        "agents",
        "allow_delegation",
        "allow_self_approval",
        "approval",
        "approvals_required",
        "available_days",
        "break_glass",
        "available_from",
        "available_until",
        "available_zone",
        "changed_at",
        "description",
        "extension_duration",
        "fingerprint",
        "max_duration",
        "max_extensions",
        "name",
        "require_approver_reason",
        "require_justification",
        "mfa_strength",
        "require_mfa",
        "require_ticket",
        "ticket_pattern",
        "verify_every_request",
        "version",
    )
}
INTEGRATION_TERMS = {
    f"Integration.{name}"
    for name in (
        "broker",
        "connection_limit",
        "terminate_sessions_on_reset",
        "settings",
        "host",
        "name",
        "next_check_at",
        "port",
        "encrypted_password",
        "sslmode",
        "ca_certificates",
    )
}
PROVIDER_FIELDS = (
    *("name", "issuer", "client_id", "encrypted_secret", "colour", "version"),
    *("scopes", "groups_claim", "accepted_acr", "is_active"),
)

WRITES: dict[str, set[str]] = {
    "audit:verify": {"LogVerification +"},
    "users:create": {"User +", "User_groups +", "Delivery +"},
    "users:edit": {
        "MfaState +",
        "MfaState.epoch",
        "User.name",
        "User.role",
        "User.search_words",
        "User_groups +",
        "User_groups -",
    },
    "users:time_zone": {"User.time_zone"},
    "users:invite": {"Delivery +"},
    "users:remind": {"Delivery +"},
    "users:deactivate": {"MfaState +", "MfaState.epoch", "User.is_active", "User.deactivated_by"}
    | ENDING,
    "users:reactivate": {"User.is_active", "User.deactivated_by"},
    "users:add_selected_to_group": {"User_groups +"},
    "scim:create": {"Directory +"},
    "api:create_agent_token": {"ApiToken +", "Delivery +"},
    "users:create_group": {"Group +", "User_groups +"},
    "users:edit_group": {"Group.name"},
    "users:add_group_members": {"User_groups +"},
    "users:remove_group_member": {"User_groups -"},
    "sso:create": {"IdentityProvider +"},
    "sso:edit": {f"IdentityProvider.{name}" for name in PROVIDER_FIELDS},
    "sso:delete": {"IdentityProvider -", "SignInDomain -", "ClaimMapping -"},
    "sso:add_domain": {"SignInDomain +"},
    "sso:edit_domain": {"SignInDomain.creates_users", "SignInDomain.is_enforced"},
    "sso:remove_domain": {"SignInDomain -"},
    "sso:add_mapping": {"ClaimMapping +"},
    "sso:remove_mapping": {"ClaimMapping -"},
    "sso:break_glass": {"User.is_break_glass"},
    "mfa:passkey_registration_options": {"PasskeyChallenge +", "MfaState +"},
    "mfa:recovery_codes": {"RecoveryCode +", "RecoveryCode -", "Delivery +"},
    "notifications:choose": {"EmailOptOut +", "EmailOptOut -"},
    "flows:create": {"AccessFlow +", "FlowVersion +", *(f"{name} +" for name in OF_A_FLOW)},
    "flows:edit": {
        "FlowVersion +",
        *FLOW_TERMS,
        *(f"{name} {sign}" for name in OF_A_FLOW for sign in "+-"),
    },
    "flows:activate": {"AccessFlow.changed_at", "AccessFlow.is_active"},
    "flows:deactivate": {"AccessFlow.changed_at", "AccessFlow.is_active"},
    "requests:delete_flow": {
        "AccessFlow -",
        "AccessRequest.flow_id",
        "AccessRequest.mac",
        *(f"{name} -" for name in OF_A_FLOW),
    },
    "integrations:create": {"Integration +", "CheckRun +"},
    "integrations:edit": INTEGRATION_TERMS | {"CheckRun +"},
    "integrations:replace_secret": {"Integration.encrypted_password", "Integration.next_check_at"},
    "integrations:check": {"CheckRun +"},
    "integrations:run_canary": {"CanaryRun +"},
    "integrations:enable": {"Integration.is_active"},
    "integrations:disable": {"Integration.is_active"},
    "requests:new": {"AccessRequest +", "RequestedTarget +", "MfaState +", "Submission +"},
    "requests:add_favorite": {"FavoriteFlow +"},
    "requests:remove_favorite": {"FavoriteFlow -"},
    "requests:revoke": ENDING,
    "requests:revoke_selected": ENDING,
    "requests:revoke_integration": ENDING,
    "requests:cancel": ENDING,
    "requests:approve": {"Decision +", "MfaState +", *STATUS, "AccessRequest.pending_until"},
    "requests:justify": {"BreakGlassReview +", "AccessRequest.reviewed_at"},
    "requests:refuse": {"BreakGlassReview +", "AccessRequest.reviewed_at"},
    "requests:lift_pause": {"BreakGlassReview.lifted_at", "BreakGlassReview.lifted_by_label"},
    "requests:reject": {"Decision +", "MfaState +", *STATUS},
}
