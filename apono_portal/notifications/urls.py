"""URLs of notification preferences, deliveries and webhooks."""

from django.urls import path

from apono_portal.notifications.views import deliveries, preferences, webhooks

app_name = "notifications"
urlpatterns = [
    path("account/notifications/", preferences.choose, name="choose"),
    path("deliveries/", deliveries.deliveries, name="deliveries"),
    path("deliveries/<int:pk>/send-again/", deliveries.send_again, name="send_again"),
    path("webhooks/", webhooks.webhooks, name="webhooks"),
    path("webhooks/new/", webhooks.create, name="create_webhook"),
    path("webhooks/<int:pk>/", webhooks.edit, name="edit_webhook"),
    path("webhooks/<int:pk>/secret/", webhooks.replace_secret, name="replace_secret"),
    path("webhooks/<int:pk>/test/", webhooks.send_test, name="send_test"),
    path("webhooks/<int:pk>/delete/", webhooks.delete, name="delete_webhook"),
]
