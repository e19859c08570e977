"""Addresses of users pages."""

from django.urls import URLPattern

app_name = "users"
urlpatterns: list[URLPattern] = []
