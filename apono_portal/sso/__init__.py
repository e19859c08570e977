"""Single sign-on with OpenID Connect: providers, sign-in, groups and roles, sign-out."""
