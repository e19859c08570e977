"""``Idempotency-Key``: a call that is repeated has one effect, and the same response."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.utils import timezone

from apono_portal.api.authentication import ApiRequest
from apono_portal.api.models import StoredResponse
from apono_portal.api.problems import Problem


def once(request: ApiRequest, key: str | None, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the result of ``act``, or that of the first call with this key.

    The key is written first, in the transaction of the effect, so that a second call waits for the
    first. A refusal leaves no key: the call can be corrected and repeated.
    """
    if key is None:
        return act()
    token, body_hash = request.auth, _hash_of_call(request)
    expired = timezone.now() - StoredResponse.LIFETIME
    StoredResponse.objects.filter(created_at__lt=expired).delete()
    with transaction.atomic():
        try:
            with transaction.atomic():
                stored = StoredResponse.objects.create(token=token, key=key, body_hash=body_hash)
        except IntegrityError:
            return _repeated(StoredResponse.objects.get(token=token, key=key), body_hash)
        result: dict[str, Any] = json.loads(json.dumps(act(), cls=DjangoJSONEncoder))
        stored.body = result
        stored.save(update_fields=["body"])
    return result


def _repeated(stored: StoredResponse, body_hash: str) -> dict[str, Any]:
    if stored.body_hash != body_hash:
        raise Problem(
            409, "key_reused", "This Idempotency-Key was used for another call. Use a new one."
        )
    body: dict[str, Any] = stored.body or {}
    return body


def _hash_of_call(request: ApiRequest) -> str:
    call = b"\n".join([str(request.method).encode(), request.path.encode(), request.body])
    return hashlib.sha256(call).hexdigest()
