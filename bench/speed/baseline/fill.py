"""Fill the baseline's tables with people who are signed in."""

from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session


def fill(number: int) -> list[dict[str, str]]:
    users = User.objects.bulk_create(
        User(username=f"person{n}", email=f"person{n}@example.org", password="!unusable")
        for n in range(number)
    )
    sessions = Session.objects.bulk_create(make_session(user) for user in users)
    return [{"session": session.pk} for session in sessions]


def make_session(user: User) -> Session:
    store = SessionStore()
    store._session_key = store._get_new_session_key()
    return store.create_model_instance(
        {
            "_auth_user_id": str(user.pk),
            "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
            "_auth_user_hash": user.get_session_auth_hash(),
        }
    )
